import test from 'ava'
import { scramMatches, scramVerifier } from '../../shared/kubedb/databases/users/scram.ts'

// the example of RFC 7677, section 3
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const pencil =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==' +
  '$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='

test("the verifier of the RFC's example is what the RFC's keys say", (t) => {
  t.is(scramVerifier('pencil', salt), pencil)
})

test('a verifier matches its own password and no other', (t) => {
  t.true(scramMatches(pencil, 'pencil'))
  t.false(scramMatches(pencil, 'Pencil'))
  t.true(scramMatches(scramVerifier('x'.repeat(32)), 'x'.repeat(32)))
})

test('the same password gets another salt each time', (t) => {
  t.not(scramVerifier('pencil'), scramVerifier('pencil'))
})

test('whatever else a server may have stored does not match', (t) => {
  const others = [
    null,
    '',
    'pencil',
    'md5c0ee7f9b4bb2b8a7ad06f09a4b9d6a84',
    pencil.slice(0, -4),
    `${pencil}x`,
    // computing this one would take minutes
    pencil.replace('4096', '2147483647'),
  ]
  for (const stored of others) t.false(scramMatches(stored, 'pencil'), String(stored))
})

test('passwords that SASLprep might change are refused without being repeated', (t) => {
  for (const password of ['', 'pässword', 'a\nb']) {
    const error = t.throws(() => scramVerifier(password), { instanceOf: TypeError })
    if (password !== '') t.notRegex(error.message, new RegExp(password))
  }
})
