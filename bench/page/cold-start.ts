import { table } from '../../generate/table.ts'
import { coldStartAim, coldStartRatio } from '../aims.ts'
import type { Cache, ColdStarts } from '../cold-start.ts'
import { dashboardAim, dashboardPage } from '../dashboard.ts'
import { call, drivers, empty, hono, rungs } from '../ladder.ts'
import { type Deed, idOf } from '../operations.ts'
import type { Results } from '../results.ts'
import { median, milliseconds, spread, times } from './format.ts'

type Started = NonNullable<Results['coldStarts']>

/** @returns what it takes to start, on PostgreSQL and by engine, and where that goes */
export function coldStart({ coldStarts, deeds }: Results): string[] {
  if (!coldStarts) return []
  const base = deeds.filter(({ engine }) => engine === 'PostgreSQL')
  const others = deeds.filter((deed) => deed.engine !== 'PostgreSQL' && coldStarts.warm.has(idOf(deed)))
  return [
    '## Cold start',
    'From the start of a process to the end of its first answer, which is a real operation: the API server is asked, ' +
      'the database gets its user. min / median / max in milliseconds; × is the median of the ratio to an empty ' +
      '`node:http` server started just before. V8 finds its compile cache, as in the image.',
    ...(base.length === 0 ? [] : [startTable(coldStarts, 'warm', base, ({ name }) => name)]),
    ...(others.length === 0
      ? []
      : [
          '### By engine',
          'Binds and unbinds load a driver and log in where the broker makes users by itself; those of Redis ask KubeDB, ' +
            'those of Memcached nobody. Fetching a binding differs in the calls alone.',
          startTable(
            coldStarts,
            'warm',
            byFunction(deeds, others),
            ({ name, engine }) => `${name}, ${engine}`,
          ),
        ]),
    ...dashboardTable(coldStarts),
    ...(base.length === 0
      ? []
      : ['### Without the compile cache', startTable(coldStarts, 'none', base, ({ name }) => name)]),
    '### Where the time goes',
    'Programs between the empty server and a function. Whatever asks the API server pays for TLS (`node:https`, ' +
      '`node:crypto`, the handshake); whatever makes users pays for a driver and its handshake. ECMAScript modules ' +
      'that import `node:http` by name load all of `fetch` with it; the bundles go around that (`build.ts`).',
    ladderTable(coldStarts),
    shares(coldStarts, deeds),
  ]
}

/** @returns what was done to other engines, beside the same on PostgreSQL, operation by operation */
function byFunction(deeds: readonly Deed[], others: readonly Deed[]): Deed[] {
  const names = [...new Set(others.map(({ name }) => name))]
  return names.flatMap((name) => deeds.filter((deed) => deed.name === name))
}

/** @returns the start of the dashboard, where it was measured */
function dashboardTable(coldStarts: Started): string[] {
  if (!coldStarts.warm.has(dashboardPage)) return []
  return [
    '### The dashboard',
    'For somebody who has signed in: it opens their cookie, reads record, database, address, pods, OpsRequests, ' +
      'bindings and events side by side, and writes the page.',
    table(columns, [
      line(coldStarts, 'warm', empty.name, empty.name, ''),
      line(coldStarts, 'warm', dashboardPage, dashboardPage, `≤ ${times(dashboardAim)}`),
    ]),
  ]
}

const columns = ['', 'wall time', '×', 'CPU time', '×', 'aim', 'memory, MiB', '×']

function line(coldStarts: Started, cache: Cache, id: string, name: string, aim: string): string[] {
  const { wall, cpu, memory } = startsOf(coldStarts, cache, id)
  return [
    name,
    spread(wall),
    times(coldStartRatio(coldStarts, cache, id, 'wall')),
    spread(cpu),
    times(coldStartRatio(coldStarts, cache, id, 'cpu')),
    aim,
    median(memory).toFixed(0),
    times(coldStartRatio(coldStarts, cache, id, 'memory')),
  ]
}

function startTable(
  coldStarts: Started,
  cache: Cache,
  deeds: readonly Deed[],
  nameOf: (deed: Deed) => string,
): string {
  return table(columns, [
    line(coldStarts, cache, empty.name, empty.name, ''),
    ...deeds
      .filter((deed) => coldStarts[cache].has(idOf(deed)))
      .map((deed) =>
        line(coldStarts, cache, idOf(deed), nameOf(deed), `≤ ${times(coldStartAim(deed.name))}`),
      ),
  ])
}

function startsOf(coldStarts: Started, cache: Cache, name: string): ColdStarts {
  const found = coldStarts[cache].get(name)
  if (!found) throw new Error(`${name} was not started`)
  return found
}

function ladderTable(coldStarts: Started): string {
  return table(
    ['', 'wall time', '×', 'CPU time', '×'],
    rungs
      .filter(({ name }) => coldStarts.warm.has(name))
      .map(({ name }) => {
        const { wall, cpu } = startsOf(coldStarts, 'warm', name)
        return [
          name,
          spread(wall),
          times(coldStartRatio(coldStarts, 'warm', name, 'wall')),
          spread(cpu),
          times(coldStartRatio(coldStarts, 'warm', name, 'cpu')),
        ]
      }),
  )
}

/** What is left for the broker itself, by the ladder. */
function shares(coldStarts: Started, deeds: readonly Deed[]): string {
  const cpu = (name: string) => median(startsOf(coldStarts, 'warm', name).cpu)
  const there = drivers.filter(({ name }) => coldStarts.warm.has(name))
  const driverOf = (deed: Deed): number => {
    const driver = there.find(({ engine }) => engine === deed.engine)
    return driver && ['bind', 'unbind'].includes(deed.name) ? cpu(driver.name) - cpu(call.name) : 0
  }
  const rests = deeds
    .filter((deed) => deed.name !== 'catalog' && coldStarts.warm.has(idOf(deed)))
    .map((deed) => {
      const rest = cpu(idOf(deed)) - cpu(hono.name) - driverOf(deed)
      const name = deed.engine === 'PostgreSQL' ? deed.name : `${deed.name} ${deed.engine}`
      return `${name} ${milliseconds(Math.max(0, rest))}`
    })
  return (
    `So of the CPU time of a function, ${milliseconds(cpu(empty.name))} ms are Node's own start, ` +
    `${milliseconds(cpu(call.name) - cpu(empty.name))} TLS and the first call, ` +
    `${milliseconds(Math.max(0, cpu(hono.name) - cpu(call.name)))} the web application. Driver and handshake are, in milliseconds: ` +
    `${there.map(({ engine, name }) => `${engine} ${milliseconds(cpu(name) - cpu(call.name))}`).join(', ')}. Left for the ` +
    `broker's own code (configuration, users, the record and its checks) and its further calls: ${rests.join(', ')}.`
  )
}
