import test from 'ava'
import {
  base32,
  bindingRecordName,
  databaseName,
  hash26,
  instanceRecordName,
  labelValue,
  lengthPrefixed,
} from '../../shared/kubedb/records/names.ts'

const guid = '5f0e6f0a-3c4e-4c1f-9b5e-7f3f1f0a2b3c'

test('base32 is that of RFC 4648, in lower case and without padding', (t) => {
  for (const [text, encoded] of [
    ['', ''],
    ['f', 'my'],
    ['fo', 'mzxq'],
    ['foo', 'mzxw6'],
    ['foob', 'mzxw6yq'],
    ['fooba', 'mzxw6ytb'],
    ['foobar', 'mzxw6ytboi'],
  ] as const) {
    t.is(base32(Buffer.from(text)), encoded)
  }
})

test('a hash has 26 characters that every Kubernetes name takes', (t) => {
  t.is(hash26('an-id'), 'cosipbetloaq7g3gz64lvcency')
  for (const id of ['', 'a', guid, 'x'.repeat(255), 'ü~/']) t.regex(hash26(id), /^[a-z2-7]{26}$/)
})

test('names of records are fixed for ever: they are how a record is found', (t) => {
  t.is(instanceRecordName('an-id'), 'osb-i-cosipbetloaq7g3gz64lvcency')
  t.is(bindingRecordName('an-id', 'a-binding'), 'osb-b-r3ur2wrbufdoe4knclhl5ukwv5')
})

test('no two pairs of ids share a binding record', (t) => {
  const pairs = [
    ['a', 'bc'],
    ['ab', 'c'],
    ['a1:b', 'c'],
    ['a', '1:bc'],
    ['', 'abc'],
    ['abc', ''],
  ] as const
  t.is(new Set(pairs.map(([instance, binding]) => bindingRecordName(instance, binding))).size, pairs.length)
  t.is(lengthPrefixed('ü', 'b'), '2:ü1:b')
})

test('the database of a lower-case GUID has a name that people recognise', (t) => {
  t.is(databaseName(guid, 40), `osb-${guid}`)
})

test('every other id is hashed, and every name fits a KubeDB kind', (t) => {
  const ids = [
    guid.toUpperCase(),
    `${guid}x`,
    guid.replaceAll('-', ''),
    'A',
    '~._-',
    'x'.repeat(255),
    `${guid}\n`,
  ]
  for (const id of ids) t.regex(databaseName(id, 40), /^osb-[a-z2-7]{26}$/)
  t.is(new Set(ids.map((id) => databaseName(id, 40))).size, ids.length)
  t.is(databaseName(guid, 32), `osb-${hash26(guid)}`)
})

test('a label keeps what a label may hold of a name', (t) => {
  t.is(labelValue('My Space / München'), 'My-Space-M-nchen')
  t.is(labelValue('--x--'), 'x')
  t.is(labelValue('ü'), undefined)
  t.is(labelValue(''), undefined)
  t.is(labelValue(`${'a'.repeat(62)}-b`), 'a'.repeat(62))
  t.regex(labelValue('x'.repeat(1000)) ?? '', /^x{63}$/)
})
