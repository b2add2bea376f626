import { table } from '../../generate/table.ts'
import { byEngine, type Deed, idOf } from '../operations.ts'
import type { Results, Warm } from '../results.ts'

/** @returns what operations ask of the API server, and say to the engines */
export function calls({ warm, deeds }: Results): string[] {
  if (!warm) return []
  return [
    '## Calls of the API server',
    'Authentication aside. Calls of one round are made at once. Where engines differ only in the names of their kinds, ' +
      'there is one line for all of them.',
    callsTable(warm, deeds),
    ...(warm.talks.size === 0
      ? []
      : [
          '## Statements',
          'What binds and unbinds say to the database: statements of SQL, commands of MongoDB, requests of OpenSearch. ' +
            'Logging in is not counted; KubeDB makes the users of Redis, Memcached has one for all.',
          talksTable(warm),
        ]),
  ]
}

function callsTable({ calls }: Warm, deeds: readonly Deed[]): string {
  const names = [...new Set(deeds.map(({ name }) => name))]
  return table(
    ['', 'rounds', 'calls', ''],
    names.flatMap((name) => {
      const same = new Map<string, { engines: string[]; rounds: string[][] }>()
      for (const deed of deeds.filter((one) => one.name === name)) {
        const rounds = (calls.get(idOf(deed)) ?? []).map((round) => round.map(ofAnyKind).toSorted())
        const key = JSON.stringify(rounds)
        const { engines } = same.get(key) ?? { engines: [] }
        same.set(key, { engines: [...engines, deed.engine], rounds })
      }
      return [...same.values()].map(({ engines, rounds }) => [
        byEngine.includes(name) && same.size > 1 ? `${name}, ${engines.join(', ')}` : name,
        String(rounds.length),
        String(rounds.flat().length),
        rounds.map((round) => round.join(', ')).join('; then '),
      ])
    }),
  )
}

/** `postgreses` and `mysqls` are databases, `postgresopsrequests` OpsRequests, `postgresversions` *Version objects. */
function ofAnyKind(call: string): string {
  return call
    .replace(/ [a-z]+opsrequests/, ' opsrequests')
    .replace(/ [a-z]+versions\/\S+/, ' version')
    .replace(/ (postgreses|mysqls|mongodbs|elasticsearches|redises|memcacheds)/, ' database')
    .replace(/^(\S+ database)\/db$/, '$1')
}

function talksTable({ talks }: Warm): string {
  const of = (name: string, engine: string) => {
    const talk = talks.get(`${name} ${engine}`)
    return talk ? [String(talk.statements), String(talk.inTurn)] : ['', '']
  }
  return table(
    ['', 'bind', 'one after the other', 'unbind', 'one after the other'],
    [...new Set([...talks.values()].map(({ engine }) => engine))].map((engine) => [
      engine,
      ...of('bind', engine),
      ...of('unbind', engine),
    ]),
  )
}
