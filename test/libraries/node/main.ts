/**
 * Runs applications, one after the other in one process: each has the environment variables of its row, and its program,
 * which leaves `client` (and `database`, of MongoDB) for what notes.ts does with it.
 *
 * Takes the name of a file: a list of rows. Prints a line `row {"answer": …}` or `row {"error": …}` for each.
 */
import { readFile, writeFile } from 'node:fs/promises'
import * as v from 'valibot'
import { uses } from './notes.ts'

/** Milliseconds. */
const patience = 30_000

const Row = v.object({
  kind: v.picklist(['postgresql', 'mysql', 'mongodb', 'redis', 'rabbitmq', 'kafka', 'elasticsearch']),
  driver: v.optional(v.string()),
  environment: v.record(v.string(), v.string()),
  lines: v.string(),
  does: v.picklist(['write', 'read']),
  note: v.string(),
})
type Row = v.InferOutput<typeof Row>

const rows = v.parse(v.array(Row), JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')))
const own = { ...process.env }

let broken: (error: unknown) => void = () => undefined
// What a client says aside is the end of its row too, not that of the process.
process.on('uncaughtException', (error) => broken(error))

for (const [index, row] of rows.entries()) {
  const end = await endOf(index, row).then(
    (answer) => ({ answer: String(answer) }),
    (error: unknown) => ({ error: told(error) }),
  )
  console.log(`row ${JSON.stringify(end)}`)
}
process.exit()

async function endOf(index: number, row: Row): Promise<unknown> {
  process.env = { ...own, ...row.environment }
  // In this folder it finds its packages.
  const file = `${process.cwd()}/program-${index}.mjs`
  await writeFile(file, `${row.lines}\nexport { client${row.kind === 'mongodb' ? ', database' : ''} }\n`)
  const use = uses[row.driver === 'opensearch' ? row.driver : row.kind]
  const wish = { writes: row.does === 'write', note: row.note }
  return Promise.race([
    import(file).then((opened) => use(opened, wish)),
    new Promise((_, reject) => {
      broken = reject
      setTimeout(() => reject(new Error(`nothing within ${patience} ms`)), patience)
    }),
  ])
}

function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? String(error.code) : ''
  return `${code} ${error.stack ?? error.message}`
}
