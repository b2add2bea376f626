import { copyFile, readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { unchanged } from '../../shared/osb/messages/entity-tag.ts'
import { folder, headers, start } from './function-process.ts'

const program = fileURLToPath(new URL('../../functions/catalog.ts', import.meta.url))
const shipped = fileURLToPath(new URL('../../knative/base/catalog.yaml', import.meta.url))

/** Starts the catalog function, as in the cluster: without a service account. */
async function catalog(t: ExecutionContext, content?: string) {
  const file = `${await folder(t)}/catalog.yaml`
  if (content === undefined) await copyFile(shipped, file)
  else await writeFile(file, content)
  const { url } = await start(t, { path: program }, { CATALOG_FILE: file, BROKER_NAMESPACE: '' })
  const call = (more: { [name: string]: string } = {}) =>
    fetch(`${url}/v2/catalog`, { headers: { ...headers, ...more } })
  return { file, call }
}

test('the shipped catalog is served as JSON with an entity tag', async (t) => {
  const { call } = await catalog(t)
  const answer = await call()
  t.is(answer.status, 200)
  t.is(answer.headers.get('Content-Type'), 'application/json')
  t.regex(answer.headers.get('ETag') ?? '', /^"[\w-]+"$/)
  t.regex(await answer.text(), /^\{"services":\[\{/)
})

test('who has this catalog already is told so', async (t) => {
  const { call } = await catalog(t)
  const etag = (await call()).headers.get('ETag') ?? ''
  const same = await call({ 'If-None-Match': `"other", W/${etag}` })
  t.is(same.status, 304)
  t.is(same.headers.get('ETag'), etag)
  t.is(await same.text(), '')
  t.is((await call({ 'If-None-Match': '"other"' })).status, 200)
})

test('an edited file is served without a restart, a broken one is a 500 until it is mended', async (t) => {
  const { file, call } = await catalog(t)
  const before = await call()
  const yaml = await readFile(file, 'utf8')
  const edit = async (content: string) => {
    await writeFile(`${file}.new`, content)
    await rename(`${file}.new`, file)
  }
  await edit(yaml.replace('name: postgresql\n', 'name: postgresql-edited\n'))
  const edited = await call()
  t.is(edited.status, 200)
  t.not(edited.headers.get('ETag'), before.headers.get('ETag'))
  t.regex(await edited.text(), /"postgresql-edited"/)

  await edit('v: 1\nservices: [')
  for (let i = 0; i < 2; i++) {
    const broken = await call()
    t.is(broken.status, 500)
    t.like(await broken.json(), { error: 'Misconfigured' })
  }
  await edit(yaml)
  t.is((await call()).headers.get('ETag'), before.headers.get('ETag'))
})

test('entity tags are compared weakly, and in lists', (t) => {
  t.false(unchanged(undefined, '"a"'))
  t.true(unchanged('*', '"a"'))
  t.true(unchanged('"a"', '"a"'))
  t.true(unchanged('W/"a"', '"a"'))
  t.true(unchanged('"b", "a"', '"a"'))
  t.false(unchanged('"ab"', '"a"'))
  t.false(unchanged('a', '"a"'))
  t.false(unchanged('', '"a"'))
})
