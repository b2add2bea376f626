import test from 'ava'
import { operationToken, parseOperationToken } from '../../shared/kubedb/records/token.ts'

const hint = {
  type: 'provision',
  id: 'abcdefgh2345',
  kind: 'Postgres',
  namespace: 'databases',
  uid: 'u-1',
} as const

test('a token comes back as what it was made of', (t) => {
  t.deepEqual(parseOperationToken(operationToken(hint)), hint)
  t.true(operationToken(hint).length < 10_000)
  t.regex(operationToken(hint), /^[A-Za-z0-9._-]+$/)
})

test('tokens given out by older functions are read for ever', (t) => {
  t.deepEqual(
    parseOperationToken('provision.WyJhYmNkZWZnaDIzNDUiLCJQb3N0Z3JlcyIsImRhdGFiYXNlcyIsInUtMSJd'),
    hint,
  )
})

test('a bare word, as conformance checkers send it, is read as the type', (t) => {
  for (const type of ['provision', 'update', 'deprovision', 'bind', 'unbind'] as const) {
    t.deepEqual(parseOperationToken(type), { type, id: '', kind: '', namespace: '', uid: '' })
  }
})

test('anything else means the latest operation', (t) => {
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const token of [
    undefined,
    '',
    'task_10',
    'provision.',
    'provision.%%%',
    `provision.${encoded({})}`,
    `provision.${encoded(['a', 'b', 'c'])}`,
    `provision.${encoded(['a', 'b', 'c', 1])}`,
    `constructor.${encoded(['a', 'b', 'c', 'd'])}`,
    `${operationToken(hint)}.more`,
    `provision.${'A'.repeat(3000)}`,
  ]) {
    t.is(parseOperationToken(token), undefined, token)
  }
})
