/** The operations without the broker: the same calls of the API server, and the same statements to the engine. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { newNonce, userName } from '../shared/kubedb/bindings/passwords.ts'
import { bindingRecordName, hash26, instanceRecordName } from '../shared/kubedb/records/names.ts'
import type { FunctionName } from '../shared/routes.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  JsonObject as JsonObjectSchema,
} from '../shared/values/json.ts'
import { objectIn } from '../test/support/cluster.ts'
import type { Call } from '../test/support/fault-call.ts'
import { type BareClient, bareClient } from './bare-client.ts'
import type { Talks } from './engine-recording.ts'
import { callReady } from './operations.ts'
import type { Recording } from './recording.ts'
import { requestNumbers } from './request-numbers.ts'
import type { Instance, Site } from './site.ts'

export interface Bare {
  /** Makes what it takes; nothing of it is measured. */
  prepare(): Promise<void>
  /** the calls themselves */
  act(): Promise<void>
  /** Waits for what they have begun. */
  settle(): Promise<void>
  close(): void
}

/** What an operation is about. */
interface Subject {
  instanceId: string
  bindingId: string
  user: string
}

/** @returns for each operation that asks anything its calls, on things of their own */
export function bareOf(
  site: Site,
  instance: Instance,
  recordings: ReadonlyMap<FunctionName, Recording>,
  talks: Talks | undefined,
): Map<FunctionName, Bare> {
  const clients = new Map<FunctionName, BareClient>()
  const clientOf = (name: FunctionName): BareClient => {
    const client = clients.get(name) ?? openClient(site, name)
    clients.set(name, client)
    return client
  }
  const replayOf = async (name: FunctionName, subject: Subject): Promise<() => Promise<void>> => {
    const recording = recordings.get(name)
    if (!recording) throw new Error(`${name} was not recorded`)
    const client = clientOf(name)
    const renumber = await requestNumbers(site, recording)
    const talk = name === 'bind' || name === 'unbind' ? talks?.[name] : undefined
    const renamed = renaming(idsIn(recording.wish.path), subject)
    return () =>
      replayRounds(
        client,
        recording,
        (text) => renumber(renamed(text)),
        talk && (() => talk.replay(subject.user)),
      )
  }
  const replay = async (name: FunctionName, subject: Subject) => (await replayOf(name, subject))()
  const settle = async ({ bindingId }: Subject): Promise<void> => {
    if (bindingId !== '') await site.settle(instance, bindingId)
  }
  const fixed: Subject = { instanceId: instance.id, bindingId: instance.bindingId, user: '' }
  const newInstance = (): Subject => ({ instanceId: randomUUID(), bindingId: '', user: '' })
  const newBinding = (): Subject => {
    const bindingId = randomUUID()
    return { instanceId: instance.id, bindingId, user: userName(bindingId, newNonce()) }
  }
  const made: { provision: Subject[]; bind: Subject[] } = { provision: [], bind: [] }
  const anInstance = async (): Promise<Subject> => {
    const known = made.provision.pop()
    const subject = known ?? newInstance()
    if (!known) await replay('provision', subject)
    await callReady(site, subject.instanceId)
    return subject
  }
  const aBinding = async (): Promise<Subject> => {
    const known = made.bind.pop()
    if (known) return known
    const subject = newBinding()
    await replay('bind', subject)
    await settle(subject)
    return subject
  }
  const subjects: { readonly [N in FunctionName]?: () => Promise<Subject> } = {
    provision: async () => newInstance(),
    update: anInstance,
    deprovision: anInstance,
    bind: async () => newBinding(),
    unbind: aBinding,
  }

  const bares = new Map<FunctionName, Bare>()
  for (const [name, { rounds }] of recordings) {
    if (rounds.length === 0) continue
    let next = fixed
    let calls = async (): Promise<void> => undefined
    bares.set(name, {
      async prepare() {
        next = (await subjects[name]?.()) ?? fixed
        calls = await replayOf(name, next)
      },
      async act() {
        await calls()
        if (name === 'provision' || name === 'bind') made[name].push(next)
      },
      settle: () => settle(next),
      close: () => clients.get(name)?.close(),
    })
  }
  return bares
}

/** As the function does, by its token. */
function openClient(site: Site, name: FunctionName): BareClient {
  const file = (what: string) => readFileSync(join(site.serviceAccountDirectory(name), what), 'utf8')
  return bareClient(new URL(site.cluster.url), {
    ca: file('ca.crt'),
    authorization: `Bearer ${file('token').trim()}`,
  })
}

async function replayRounds(
  client: BareClient,
  { rounds }: Recording,
  renamed: (text: string) => string,
  beforeLast: (() => Promise<void>) | undefined,
): Promise<void> {
  const seen = new Map<string, Versions>()
  for (const [index, round] of rounds.entries()) {
    if (index === rounds.length - 1) await beforeLast?.()
    await Promise.all(round.map((call) => replayCall(client, call, renamed, seen)))
  }
}

async function replayCall(
  client: BareClient,
  { verb, target, body, status: expected }: Call,
  renamed: (text: string) => string,
  seen: Map<string, Versions>,
): Promise<void> {
  const path = renamed(target)
  const sent = body === '' ? '' : versioned(renamed(body), nameIn(path), seen)
  const type = verb === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const { status, text } = await client.send(verb, path, sent, type)
  if (status !== expected) throw new Error(`${verb} ${path}: ${status} instead of ${expected}: ${text}`)
  // Only what is written needs what was read.
  const { metadata } = v.parse(Answer, objectIn(text))
  if (metadata) seen.set(metadata.name, metadata)
}

const Versions = v.object({ name: v.string(), uid: v.string(), resourceVersion: v.string() })
type Versions = v.InferOutput<typeof Versions>
const Answer = v.object({ metadata: v.fallback(v.optional(Versions), undefined) })

/** @returns the body with the UIDs and resourceVersions of now */
function versioned(body: string, name: string, seen: ReadonlyMap<string, Versions>): string {
  const object = v.parse(JsonObjectSchema, JSON.parse(body))
  const { metadata, preconditions } = object
  const own = seen.get(name)
  if (isObject(preconditions) && own) object.preconditions = put(preconditions, own)
  if (isObject(metadata)) {
    const current = seen.get(String(metadata.name))
    if (current) object.metadata = put(metadata, current)
    if (Array.isArray(metadata.ownerReferences)) {
      metadata.ownerReferences = metadata.ownerReferences.map((owner) => withUid(owner, seen))
    }
  }
  return JSON.stringify(object)
}

/** Replaces what is there already: a call that said no version says none. */
function put(object: JsonObject, { uid, resourceVersion }: Versions): JsonObject {
  if (object.uid !== undefined) object.uid = uid
  if (object.resourceVersion !== undefined) object.resourceVersion = resourceVersion
  return object
}

function withUid(owner: Json, seen: ReadonlyMap<string, Versions>): Json {
  const known = isObject(owner) ? seen.get(String(owner.name)) : undefined
  return isObject(owner) && known ? { ...owner, uid: known.uid } : owner
}

/** @returns the last segment of a path of the API server */
function nameIn(path: string): string {
  return path.split('?', 1)[0]?.split('/').at(-1) ?? ''
}

function idsIn(path: string): { instanceId: string; bindingId: string } {
  const segments = new URL(path, 'http://broker').pathname.split('/')
  return { instanceId: segments[3] ?? '', bindingId: segments[5] ?? '' }
}

/** @returns replaces the ids of a recording, what is made of them, and the user: one without a record is swept away */
function renaming(from: { instanceId: string; bindingId: string }, to: Subject): (text: string) => string {
  const names = ({ instanceId, bindingId }: { instanceId: string; bindingId: string }) => [
    bindingRecordName(instanceId, bindingId),
    instanceRecordName(instanceId),
    hash26(instanceId),
    instanceId,
    // Most operations are about no binding.
    ...(from.bindingId === '' ? [] : [bindingId]),
  ]
  const olds = names(from)
  const news = names(to)
  return (text) =>
    olds
      .reduce((all, old, index) => all.replaceAll(old, news[index] ?? ''), text)
      .replaceAll(/\bb[a-z2-7]{26}\b/g, (user) => (to.user === '' ? user : to.user))
}
