/** An administrator's connection that ends by a deadline, whatever the server does. */
import { type Document, MongoClient, type MongoClientOptions, MongoError, MongoServerError } from 'mongodb'
import * as v from 'valibot'
import { isObject } from '../../../../values/json.ts'
import { type Admin, Unreachable } from '../../database.ts'
import { at } from '../../parts/spec.ts'
import { isOfSocket, unreachable } from './failure.ts'
import { userDatabase } from './user-database.ts'

/** milliseconds */
const connectTimeout = 5000
const farewellTimeout = 500

export class Session {
  readonly #client: MongoClient
  readonly #admin: Admin
  /** rejects when no command can be sent any more */
  readonly #ended: Promise<never>
  readonly #stop: (reason: Unreachable) => void
  #lost: Unreachable | undefined

  private constructor(admin: Admin, member: string | undefined) {
    const left = admin.deadline - Date.now()
    this.#admin = admin
    this.#client = new MongoClient(
      addressOf(admin, member),
      optionsOf(admin, Math.max(1, Math.min(left, connectTimeout))),
    )
    // without a listener an error between two commands would end the process
    this.#client.on('error', () => undefined)
    let reject: (reason: Unreachable) => void = () => undefined
    this.#ended = new Promise((_, refuse) => {
      reject = refuse
    })
    // who waits for an answer is told; else the next command tells
    this.#ended.catch(() => undefined)
    const late = new Unreachable(`MongoDB at ${admin.host} did not answer before the request's deadline`)
    const deadline = setTimeout(() => this.#stop(late), Math.max(0, left))
    const abort = () => this.#stop(new Unreachable('the caller has gone away'))
    admin.signal.addEventListener('abort', abort, { once: true })
    this.#stop = (why) => {
      if (this.#lost !== undefined) return
      this.#lost = why
      clearTimeout(deadline)
      admin.signal.removeEventListener('abort', abort)
      reject(why)
    }
  }

  /**
   * Connects within five seconds and by the deadline.
   *
   * @param member host name of one member to talk to, whatever it is; without it, whoever takes writes
   * @throws {Unreachable} when that fails, saying why
   */
  static async open(admin: Admin, member?: string): Promise<Session> {
    if (admin.signal.aborted) throw new Unreachable('the caller has gone away')
    const session = new Session(admin, member)
    const timer = setTimeout(
      () =>
        session.#stop(
          new Unreachable(`MongoDB at ${admin.host} did not answer within ${connectTimeout / 1000} s`),
        ),
      connectTimeout,
    )
    session.#giveUpWhenAllFail(member === undefined && isReplicaSet(admin) ? admin.hosts.length : 1)
    try {
      await Promise.race([session.#client.connect(), session.#ended])
      return session
    } catch (error) {
      const refusal = unreachable(error, admin)
      session.#end(refusal)
      throw session.#lost ?? refusal
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Runs a command on the database of users.
   *
   * @throws {Unreachable} when the connection is lost, {MongoServerError} when the server refuses
   */
  async run(command: Document): Promise<void> {
    await this.ask(v.looseObject({}), command)
  }

  /**
   * Runs a command that changes something, on a majority of the members.
   *
   * @throws as `run`; too few members are a refusal
   */
  async write(command: Document): Promise<void> {
    await this.run({ ...command, writeConcern: { w: 'majority', wtimeout: this.#left() } })
  }

  /**
   * @param answer what the command's answer must look like
   * @throws as `run`
   */
  async ask<T extends v.GenericSchema>(answer: T, command: Document): Promise<v.InferOutput<T>> {
    if (this.#lost !== undefined) throw this.#lost
    const sent = this.#client.db(userDatabase).command({ ...command, maxTimeMS: this.#left() })
    const reply = await Promise.race([sent, this.#ended]).catch((error: unknown) => {
      // a refused command leaves the connection as it is; anything else came from the connection
      if (error instanceof MongoServerError || !(error instanceof MongoError || isOfSocket(error)))
        throw error
      throw (
        this.#lost ??
        new Unreachable(`MongoDB at ${this.#admin.host} closed the connection`, { cause: error })
      )
    })
    return v.parse(answer, reply)
  }

  /** Says good-bye, and does not wait for a server that does not answer. */
  async close(): Promise<void> {
    const closed = this.#end(new Unreachable('the connection is closed'))
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, farewellTimeout)
    })
    await Promise.race([closed, patience])
    clearTimeout(timer)
  }

  /** The driver ends its sockets by itself within its connect timeout, even when the server hangs. */
  #end(reason: Unreachable): Promise<void> {
    this.#stop(reason)
    return this.#client.close().catch(() => undefined)
  }

  /** The driver would try again until its time is over; a name that is not known or a closed port is told at once. */
  #giveUpWhenAllFail(servers: number): void {
    const failed = new Set<string>()
    const onFailure = ({ connectionId, failure }: { connectionId: string; failure: Error }) => {
      failed.add(connectionId)
      if (failed.size >= servers) this.#stop(unreachable(failure, this.#admin))
    }
    this.#client.on('serverHeartbeatFailed', onFailure)
    this.#client.once('serverHeartbeatSucceeded', () => this.#client.off('serverHeartbeatFailed', onFailure))
  }

  /** @returns milliseconds that the server may take, so that it ends its work when nobody waits any more */
  #left(): number {
    return Math.max(1, this.#admin.deadline - Date.now())
  }
}

/** @returns whether clients find the primary among several members themselves */
function isReplicaSet(admin: Admin): boolean {
  return typeof at(admin.spec, 'replicaSet.name') === 'string'
}

function addressOf(admin: Admin, member: string | undefined): string {
  const names = member !== undefined ? [member] : isReplicaSet(admin) ? admin.hosts : [admin.host]
  const options = new URLSearchParams(
    member === undefined && isReplicaSet(admin)
      ? { replicaSet: String(at(admin.spec, 'replicaSet.name')) }
      : { directConnection: 'true' },
  )
  return `mongodb://${names.map((name) => withPort(name, admin.port)).join(',')}/?${options}`
}

function withPort(name: string, port: number): string {
  return /:\d+$/.test(name) ? name : `${name}:${port}`
}

function optionsOf(admin: Admin, patience: number): MongoClientOptions {
  return {
    auth: { username: admin.username, password: admin.password },
    authSource: userDatabase,
    appName: 'kubedb-service-broker',
    connectTimeoutMS: patience,
    serverSelectionTimeoutMS: patience,
    // what is cut off in the middle of a log-in is given up by the driver when the time of the request is over
    socketTimeoutMS: Math.max(1, admin.deadline - Date.now()),
    maxPoolSize: 1,
    retryReads: false,
    retryWrites: false,
    serverMonitoringMode: 'poll',
    ...(admin.caBundle !== undefined || isObject(admin.spec.tls)
      ? { tls: true, ...(admin.caBundle === undefined ? {} : { ca: admin.caBundle }) }
      : {}),
  }
}
