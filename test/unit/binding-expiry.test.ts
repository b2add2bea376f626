import test from 'ava'
import { bindingAnswer } from '../../shared/osb/messages/binding-answer.ts'
import { bindingExpiry } from '../../shared/osb/messages/binding-expiry.ts'

const now = Date.parse('2026-03-01T12:00:00.000Z')

test('credentials of a plan without an end have none', (t) => {
  t.is(bindingExpiry(undefined, now), undefined)
  t.is(bindingExpiry({ bindingExpiry: undefined }, now), undefined)
})

test('the end and the time to rotate are counted from now, and written as OSB wants them', (t) => {
  const expiry = bindingExpiry({ bindingExpiry: { after: 90 * 86_400, renewBefore: 14 * 86_400 } }, now)
  t.deepEqual(expiry, { expiresAt: '2026-05-30T12:00:00.000Z', renewBefore: '2026-05-16T12:00:00.000Z' })
  for (const time of Object.values(expiry ?? {})) t.regex(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/)
})

test('an answer shows both times or no metadata at all', (t) => {
  const bound = { credentials: {}, reach: { hosts: ['h'], port: 1 } }
  t.deepEqual(bindingAnswer({ ...bound, info: {} }, false), { credentials: {} })
  t.deepEqual(bindingAnswer({ ...bound, info: { expiresAt: 'e', renewBefore: 'r' } }, false), {
    credentials: {},
    metadata: { expires_at: 'e', renew_before: 'r' },
  })
})
