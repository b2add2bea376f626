/** The operations, each on something of its own to work on. */
import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { annotations, instanceRecordName } from '../shared/kubedb/records/names.ts'
import type { FunctionName } from '../shared/routes.ts'
import { textAt } from '../test/support/cluster.ts'
import type { EngineName } from './engines/engine.ts'
import type { Wish } from './server-process.ts'
import type { Instance, Site } from './site.ts'
import { wishesOf } from './wishes.ts'

/** What is done, and to a database of which engine. */
export interface Deed {
  name: FunctionName
  engine: EngineName
}

export interface Operation extends Deed {
  /** of the right answer */
  status: number
  /**
   * Makes what the request is about.
   *
   * @returns a request that is to be sent once
   */
  prepare(): Promise<Wish> | Wish
  /** Says that the request was answered: what it made, another operation may take. */
  done(wish: Wish): Promise<void> | void
}

/** @returns by which results are kept */
export const idOf = ({ name, engine }: Deed): string => `${name} ${engine}`

/** What differs from engine to engine. */
export const byEngine: readonly FunctionName[] = [
  'provision',
  'update',
  'deprovision',
  'bind',
  'fetch-binding',
  'unbind',
]

/** In the order of a life: what one makes, a later one takes; where nothing was made, it is made first. */
export function operationsOf(site: Site, instance: Instance): Operation[] {
  const { engine, id: instanceId, bindingId } = instance
  const { stillNamespace } = site
  const wishes = wishesOf(engine)
  const made: { provisioned: string[]; bound: string[] } = { provisioned: [], bound: [] }

  const ask = async (wish: Wish, status: number): Promise<void> => {
    const answer = await site.ask(wish)
    if (answer.status !== status)
      throw new Error(`${wish.method} ${wish.path}: ${answer.status} ${answer.text}`)
  }
  const anInstance = async (): Promise<string> => {
    const known = made.provisioned.pop()
    const id = known ?? randomUUID()
    if (known === undefined) await ask(wishes.provision(id, stillNamespace), 202)
    await callReady(site, id)
    return id
  }
  const aBinding = async (): Promise<string> => {
    const known = made.bound.pop()
    if (known !== undefined) return known
    const id = randomUUID()
    await ask(wishes.bind(instanceId, id), engine.asynchronous ? 202 : 201)
    await site.settle(instance, id)
    return id
  }
  const always = (name: FunctionName, wish: Wish): Operation => ({
    name,
    engine: engine.name,
    status: 200,
    prepare: () => wish,
    done: () => undefined,
  })

  return [
    always('catalog', wishes.catalog()),
    always('fetch-instance', wishes.fetchInstance(instanceId)),
    always('last-operation', wishes.lastOperation(instanceId, instance.operation)),
    {
      name: 'provision',
      engine: engine.name,
      status: 202,
      prepare: () => wishes.provision(randomUUID(), stillNamespace),
      done: (wish) => void made.provisioned.push(idIn(wish)),
    },
    {
      name: 'update',
      engine: engine.name,
      status: 202,
      prepare: async () => wishes.update(await anInstance()),
      done: () => undefined,
    },
    {
      name: 'deprovision',
      engine: engine.name,
      status: 202,
      // Of one that was updated, requests to KubeDB are left that depend on how far they have come.
      prepare: async () => wishes.deprovision(await anInstance()),
      done: () => undefined,
    },
    {
      name: 'bind',
      engine: engine.name,
      status: engine.asynchronous ? 202 : 201,
      prepare: () => wishes.bind(instanceId, randomUUID()),
      async done(wish) {
        await site.settle(instance, idIn(wish))
        made.bound.push(idIn(wish))
      },
    },
    always('fetch-binding', wishes.fetchBinding(instanceId, bindingId)),
    always('last-binding-operation', wishes.lastBindingOperation(instanceId, bindingId)),
    {
      name: 'unbind',
      engine: engine.name,
      status: engine.asynchronous ? 202 : 200,
      prepare: async () => wishes.unbind(instanceId, await aBinding()),
      done: (wish) => site.settle(instance, idIn(wish)),
    },
  ]
}

/** @returns the last id in the path */
function idIn({ path }: Wish): string {
  return new URL(path, 'http://broker').pathname.split('/').at(-1) ?? ''
}

const Record = v.record(v.string(), v.unknown())

/** Writes into the record of an instance that never gets a server what the last poll of its provision would. */
export async function callReady({ cluster }: Site, instanceId: string): Promise<void> {
  const path = `${cluster.recordsPath()}/${instanceRecordName(instanceId)}`
  const { body } = await cluster.admin('GET', path)
  const operation = v.parse(
    Record,
    JSON.parse(textAt(body, 'metadata', 'annotations', annotations.operation)),
  )
  const { status, text } = await cluster.admin('PATCH', path, {
    metadata: {
      annotations: { [annotations.operation]: JSON.stringify({ ...operation, state: 'succeeded' }) },
    },
  })
  if (status !== 200) throw new Error(`PATCH ${path}: ${status} ${text}`)
}
