import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { derivePassword, newNonce, userName } from '../../shared/kubedb/bindings/passwords.ts'
import { keysIn } from '../../shared/kubedb/records/keys.ts'

const key = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex')
const nonce = 'AAECAwQFBgcICQoLDA0ODw'
const from = {
  scheme: 1,
  nonce,
  instanceId: 'an-instance',
  bindingId: 'a-binding',
  user: 'bqdnbv4d72xdevj53khm5frsacq',
} as const

// These literals are a promise: whoever changes them locks every application out of its database.
test('scheme 1 gives these passwords for ever', (t) => {
  t.is(derivePassword(key, from), '7FVt1FUj01mNFpBP5vuRoRaiYVNlHKZ2')
  t.is(
    derivePassword(Buffer.alloc(16, 0xff), { ...from, bindingId: 'ü~' }),
    'AEsP5dZHVSbFhNj8SmKemuqb8ZlsoJq9',
  )
})

test('a binding has this user for ever', (t) => {
  t.is(userName('a-binding', nonce), 'bqdnbv4d72xdevj53khm5frsacq')
  t.regex(userName('x'.repeat(255), newNonce()), /^b[a-z2-7]{26}$/)
})

test('whatever differs, the password differs', (t) => {
  const passwords = [
    derivePassword(key, from),
    derivePassword(Buffer.from(key).fill(0, 0, 1).fill(9, 1, 2), from),
    derivePassword(key, { ...from, nonce: 'BAECAwQFBgcICQoLDA0ODw' }),
    derivePassword(key, { ...from, instanceId: 'another' }),
    derivePassword(key, { ...from, bindingId: 'another' }),
    derivePassword(key, { ...from, user: 'another' }),
    // parts that read the same when they are put beside each other
    derivePassword(key, { ...from, instanceId: 'an-instancea', bindingId: '-binding' }),
  ]
  t.is(new Set(passwords).size, passwords.length)
})

test('a password is 32 characters that no URI, shell or SQL has to quote, each equally likely', (t) => {
  const count = new Map<string, number>()
  for (let index = 0; index < 2000; index++) {
    const password = derivePassword(key, { ...from, nonce: newNonce() })
    t.regex(password, /^[A-Za-z0-9]{32}$/)
    for (const letter of password) count.set(letter, (count.get(letter) ?? 0) + 1)
  }
  const expected = (2000 * 32) / 62
  for (const [letter, times] of count) {
    t.true(Math.abs(times - expected) < 6 * Math.sqrt(expected), `${letter} ${times}`)
  }
})

test('a nonce is 128 bits, and never the same', (t) => {
  t.is(Buffer.from(newNonce(), 'base64url').length, 16)
  t.is(new Set(Array.from({ length: 1000 }, newNonce)).size, 1000)
})

async function keysDirectory(t: ExecutionContext, files: { [name: string]: string }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keys-'))
  t.teardown(() => rm(directory, { recursive: true }))
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content)
  return directory
}

test('the last key in order of names is for new bindings; older ones stay readable', async (t) => {
  const directory = await keysDirectory(t, { '2025-01': `${key.toString('base64')}\n`, '2026-01': 'x' })
  // what a mounted Secret has beside its keys
  await writeFile(join(directory, '..2026_11_21'), '')
  await symlink('..2026_11_21', join(directory, '..data'))
  const keys = keysIn(directory)
  t.is(await keys.newest(), '2026-01')
  t.deepEqual(await keys.get('2025-01'), key)
})

test('a key that is not there is named with the cure, and never shown', async (t) => {
  const directory = await keysDirectory(t, { short: Buffer.from('fifteen bytes..').toString('base64') })
  const keys = keysIn(directory)
  await t.throwsAsync(keys.get('gone'), { message: /key "gone".*is not there; put it back/ })
  const error = await t.throwsAsync(keys.get('short'), { message: /shorter than 16 bytes/ })
  t.notRegex(String(error?.message), /Zmlmd|fifteen/)
  for (const id of ['../short', '..data', '/etc/passwd', '', 'a/b']) {
    await t.throwsAsync(keys.get(id), { message: /impossible name/ }, id)
  }
  await t.throwsAsync(keysIn(join(directory, 'nowhere')).newest(), {
    message: /not mounted \(KEYS_DIRECTORY\)/,
  })
  await t.throwsAsync(keysIn(await keysDirectory(t, {})).newest(), { message: /is empty/ })
})
