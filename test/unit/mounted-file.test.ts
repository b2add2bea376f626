import { mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { mountedFile } from '../../shared/environment/mounted-file.ts'
import { folder } from './function-process.ts'

/** Puts content where it is mounted, as the kubelet does: into a new folder, then `..data` points there. */
async function mount(directory: string, version: string, content: string): Promise<void> {
  await mkdir(join(directory, version))
  await writeFile(join(directory, version, 'file'), content)
  await symlink(version, join(directory, '..new'))
  await rename(join(directory, '..new'), join(directory, '..data'))
}

test('a swapped symlink is seen at the next read', async (t) => {
  const directory = await folder(t)
  await mount(directory, '..1', 'one')
  await symlink('..data/file', join(directory, 'file'))
  const read = mountedFile(join(directory, 'file'), (content) => content)
  t.is(await read(), 'one')
  await mount(directory, '..2', 'two')
  await rm(join(directory, '..1'), { recursive: true })
  t.is(await read(), 'two')
})

test('a file written in place is seen too', async (t) => {
  const path = join(await folder(t), 'file')
  await writeFile(path, 'one')
  await utimes(path, 1, 1)
  const read = mountedFile(path, (content) => content)
  t.is(await read(), 'one')
  await writeFile(path, 'two')
  t.is(await read(), 'two')
})

test('content is parsed once, by many readers at a time and under a new date', async (t) => {
  const path = join(await folder(t), 'file')
  await writeFile(path, 'one')
  let parsed = 0
  const read = mountedFile(path, async (content) => {
    parsed++
    return { content }
  })
  const values = await Promise.all([read(), read(), read()])
  await utimes(path, 1, 1)
  values.push(await read(), await read())
  t.is(parsed, 1)
  t.is(new Set(values).size, 1)
})

test('broken content fails at every read until it is right, and never gives the old value', async (t) => {
  const path = join(await folder(t), 'file')
  await writeFile(path, '1')
  const read = mountedFile(path, (content): unknown => JSON.parse(content))
  t.is(await read(), 1)
  await writeFile(path, '{"broken')
  await t.throwsAsync(read, { instanceOf: SyntaxError })
  await t.throwsAsync(read, { instanceOf: SyntaxError })
  await writeFile(path, '22')
  t.is(await read(), 22)
})

test('an absent file fails, and is read once it is there', async (t) => {
  const path = join(await folder(t), 'file')
  const read = mountedFile(path, (content) => content)
  await t.throwsAsync(read, { code: 'ENOENT' })
  await writeFile(path, 'one')
  t.is(await read(), 'one')
  await rm(path)
  await t.throwsAsync(read, { code: 'ENOENT' })
})
