/** Programs between the empty server and a function: what each thing adds that every function needs. */
import { join } from 'node:path'
import { build } from 'esbuild'
import { instanceRecordName } from '../shared/kubedb/records/names.ts'
import { administratorOf } from './administrator.ts'
import type { Candidate } from './cold-start.ts'
import type { EngineName } from './engines/engine.ts'
import type { Instance, Site } from './site.ts'

export interface Rung {
  name: string
  /** file in rungs/ */
  file: string
  format: 'cjs' | 'esm'
  /** that it talks to */
  engine?: EngineName
}

/** The base of all ratios: CommonJS, which is the cheapest way to have node:http. */
export const empty: Rung = { name: 'empty server', file: 'empty', format: 'cjs' }

export const call: Rung = { name: '+ one call of the API server', file: 'api-call', format: 'cjs' }

/** What is in the place of Hono where users are made. */
export const drivers: readonly Rung[] = [
  { name: '+ PostgreSQL instead', file: 'postgres', format: 'cjs', engine: 'PostgreSQL' },
  { name: '+ MySQL instead', file: 'mysql', format: 'cjs', engine: 'MySQL' },
  { name: '+ MongoDB instead', file: 'mongodb', format: 'cjs', engine: 'MongoDB' },
]

export const hono: Rung = { name: '+ Hono', file: 'hono', format: 'cjs' }

export const rungs: readonly Rung[] = [
  empty,
  { name: 'empty server, `import` of node:http', file: 'empty', format: 'esm' },
  call,
  hono,
  ...drivers,
]

/**
 * @param instance whose record is read
 * @returns the rungs whose engine is there, built and ready to be started
 */
export async function ladder(site: Site, instance: Instance): Promise<Candidate[]> {
  const { environment } = site.program('fetch-instance')
  const variables = {
    ...environment,
    RECORD_PATH: `${site.cluster.recordsPath()}/${instanceRecordName(instance.id)}`,
  }
  const there = rungs.filter(
    ({ engine }) => engine === undefined || site.instances.some((one) => one.engine.name === engine),
  )
  return Promise.all(
    there.map(async ({ name, file, format, engine }): Promise<Candidate> => {
      const outfile = join(site.directory, 'rungs', `${file}.${format === 'esm' ? 'mjs' : 'cjs'}`)
      await build({
        entryPoints: [join(import.meta.dirname, 'rungs', `${file}.ts`)],
        outfile,
        bundle: true,
        format,
        platform: 'node',
        target: 'node22',
        minifyWhitespace: true,
        minifySyntax: true,
        external: ['pg-native'],
        logLevel: 'error',
      })
      const administrator = engine === undefined ? {} : await engineVariables(site, engine)
      return {
        name,
        caches: ['warm', 'none'],
        status: 200,
        program: (more) => ({
          name,
          file: outfile,
          environment: { ...variables, ...administrator, ...more },
        }),
        prepare: () => ({ method: 'GET', path: '/' }),
        done: () => undefined,
      }
    }),
  )
}

/** Where the engine is, and who may do everything there. */
async function engineVariables(site: Site, engine: EngineName): Promise<Record<string, string>> {
  const instance = site.instances.find((one) => one.engine.name === engine)
  if (!instance) throw new Error(`there is no instance of ${engine}`)
  const { admin } = await administratorOf(site, instance.id)
  return {
    ENGINE_HOST: site.addressOf(admin.host),
    ENGINE_PORT: String(admin.port),
    ENGINE_USER: admin.username,
    ENGINE_PASSWORD: admin.password,
  }
}
