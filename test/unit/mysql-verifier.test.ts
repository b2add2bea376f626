import test from 'ava'
import { verifierMatches, verifierOf } from '../../shared/kubedb/databases/users/mysql/verifier.ts'

/** Hashcat's example of what MySQL keeps (mode 7401). */
const example = Buffer.concat([
  Buffer.from('$A$005$'),
  Buffer.from('F9CC98CE08892924F50A213B6BC571A2C11778C5', 'hex'),
  Buffer.from(
    '625479393559393965414D45316477456B484F41316E64484742577A2E3162785353526B7554584647562F',
    'hex',
  ),
])

test("a password is known by the verifier that MySQL's caching_sha2_password keeps of it", (t) => {
  t.true(verifierMatches(example, 'hashcat', 'caching_sha2_password'))
  t.false(verifierMatches(example, 'hashcat ', 'caching_sha2_password'))
})

for (const password of ['a', '0123456789abcdefghijklmnopqrstuv', 'ü'.repeat(70)]) {
  test(`a verifier made here is its password's, of ${password.length} characters`, (t) => {
    const made = Buffer.from(verifierOf(password, 'caching_sha2_password'))
    t.is(made.length, 70)
    t.true(verifierMatches(made, password, 'caching_sha2_password'))
    t.false(verifierMatches(made, `${password}a`, 'caching_sha2_password'))
  })
}
