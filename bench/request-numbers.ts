/** Numbers in the names of OpsRequests: of all who ask for the next one, one gets it. */
import * as v from 'valibot'
import { at } from '../test/support/cluster.ts'
import type { Recording } from './recording.ts'
import type { Site } from './site.ts'

const Items = v.array(v.looseObject({ metadata: v.looseObject({ name: v.string() }) }))

/**
 * @returns puts the numbers of now into the calls of a recording: the next one where it took the next one, and those
 *   before it
 */
export async function requestNumbers(
  { cluster }: Site,
  { rounds }: Recording,
): Promise<(text: string) => string> {
  const taken = rounds
    .flat()
    .filter(({ verb }) => verb === 'POST')
    .map(({ target, body }) => ({
      path: target.split('?', 1)[0] ?? '',
      name: /"name":"(osb-[^"]+-users-)(\d+)"/.exec(body),
    }))
    .find(({ name }) => name !== null)
  const [, prefix = '', then = ''] = taken?.name ?? []
  if (!taken || prefix === '') return (text) => text
  const { body } = await cluster.admin('GET', taken.path)
  const numbers = v
    .parse(Items, at(body, 'items'))
    .map(({ metadata: { name } }) => (name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0))
  const shift = Math.max(...numbers) + 1 - Number(then)
  return (text) =>
    text.replaceAll(
      new RegExp(`${prefix}(\\d{1,7})\\b`, 'g'),
      (_, number) => `${prefix}${Number(number) + shift}`,
    )
}
