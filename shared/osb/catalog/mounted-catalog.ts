import { readFileSync } from 'node:fs'
import { mountedFile } from '../../environment/mounted-file.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Traits } from '../../values/nouns.ts'
import { type Catalog, catalogOf } from './catalog.ts'
import type { CatalogFile } from './format.ts'
import { readCatalogJson } from './json.ts'

/**
 * The catalog as it is mounted: edited as YAML, and read from the JSON beside it as long as that was rendered from the
 * very same YAML. Either may change while the function runs.
 *
 * @param path the YAML file; the JSON has the same name but for its ending
 * @param traits the KubeDB kinds that this broker knows, by name
 * @returns a function that gives the catalog as the file has it now. It throws BrokerError Misconfigured, with path
 *   and cure, for as long as the file is absent or wrong
 */
export function mountedCatalog(path: string, traits: ReadonlyMap<string, Traits>): () => Promise<Catalog> {
  const read = mountedFile(path, async (yaml) => {
    const file = rendered(path, yaml, traits) ?? (await edited(yaml, traits))
    return catalogOf(file, traits)
  })
  return async function catalog(): Promise<Catalog> {
    try {
      return await read()
    } catch (error) {
      throw misconfigured(path, error)
    }
  }
}

function rendered(path: string, yaml: string, traits: ReadonlyMap<string, Traits>): CatalogFile | undefined {
  const file = readCatalogJson(textOf(path.replace(/\.ya?ml$/, '.json')), yaml)
  // Rendered by a broker that knew other kinds: the rules have to say so.
  return file?.services.every(({ kind }) => traits.has(kind)) ? file : undefined
}

/** Most catalogs have none; whatever is wrong with it, the YAML says the same. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function edited(yaml: string, traits: ReadonlyMap<string, Traits>): Promise<CatalogFile> {
  const { readCatalogYaml } = await import('./yaml.ts')
  return readCatalogYaml(yaml, traits)
}

function misconfigured(path: string, error: unknown): BrokerError {
  const options = { cause: error }
  if (error instanceof BrokerError)
    return new BrokerError('Misconfigured', `${error.message}. Correct ${path}`, options)
  const reason = error instanceof Error ? error.message : String(error)
  const cure =
    error instanceof Error && 'code' in error ? 'Mount it there, or set CATALOG_FILE' : 'Correct it'
  return new BrokerError('Misconfigured', `The catalog ${path} cannot be read: ${reason}. ${cure}`, options)
}
