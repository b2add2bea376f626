/** Programs between the empty server and a function: what each thing adds that every function needs. */
import { join } from 'node:path'
import { build } from 'esbuild'
import { instanceRecordName } from '../shared/kubedb/names.ts'
import type { Candidate } from './cold-start.ts'
import type { Site } from './site.ts'

export interface Rung {
  name: string
  /** file in rungs/ */
  file: string
  format: 'cjs' | 'esm'
}

/** The base of all ratios: CommonJS, which is the cheapest way to have node:http. */
export const empty: Rung = { name: 'empty server', file: 'empty', format: 'cjs' }

export const rungs: readonly Rung[] = [
  empty,
  { name: 'empty server, `import` of node:http', file: 'empty', format: 'esm' },
  { name: '+ one call of the API server', file: 'api-call', format: 'cjs' },
  { name: '+ Hono', file: 'hono', format: 'cjs' },
  { name: '+ PostgreSQL instead', file: 'postgres', format: 'cjs' },
]

/** @returns the rungs, built and ready to be started */
export async function ladder(site: Site): Promise<Candidate[]> {
  const { environment } = site.program('fetch-instance')
  const variables = {
    ...environment,
    RECORD_PATH: `${site.cluster.recordsPath()}/${instanceRecordName(site.instanceId)}`,
    ENGINE_HOST: site.engine.address,
    ENGINE_USER: site.engine.username,
    ENGINE_PASSWORD: site.engine.password,
  }
  return Promise.all(
    rungs.map(async ({ name, file, format }) => {
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
      return {
        name,
        status: 200,
        program: (more: Readonly<Record<string, string>>) => ({
          name,
          file: outfile,
          environment: { ...variables, ...more },
        }),
        prepare: () => ({ method: 'GET', path: '/' }),
        done: () => undefined,
      }
    }),
  )
}
