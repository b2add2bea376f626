/** Everything that operations ask and say, recorded, and ready to be asked and said without the broker. */
import type { FunctionName } from '../shared/routes.ts'
import { type Bare, bareOf } from './bare.ts'
import { recordTalks, type Talks } from './engine-recording.ts'
import type { EngineName } from './engines/engine.ts'
import { idOf, type Operation } from './operations.ts'
import { type Recording, record } from './recording.ts'
import type { Site } from './site.ts'

export interface Bares {
  /** by `idOf` */
  recordings: ReadonlyMap<string, Recording>
  talks: ReadonlyMap<EngineName, Talks>
  /** @returns undefined for an operation that asks nothing */
  of(operation: Operation): Bare | undefined
  close(): void
}

export async function baresOf(site: Site, operations: readonly Operation[]): Promise<Bares> {
  const recordings = await record(site, operations)
  const talks = new Map<EngineName, Talks>()
  const bares = new Map<string, Bare>()
  for (const instance of site.instances) {
    const mine = operations.filter(({ engine }) => engine === instance.engine.name)
    if (mine.length === 0) continue
    const found = await recordTalks(site, instance)
    if (found) talks.set(instance.engine.name, found)
    const own = new Map<FunctionName, Recording>()
    for (const operation of mine) {
      const recording = recordings.get(idOf(operation))
      if (recording) own.set(operation.name, recording)
    }
    for (const [name, bare] of bareOf(site, instance, own, found)) {
      bares.set(idOf({ name, engine: instance.engine.name }), bare)
    }
  }
  return {
    recordings,
    talks,
    of: (operation) => bares.get(idOf(operation)),
    close() {
      for (const bare of bares.values()) bare.close()
    },
  }
}
