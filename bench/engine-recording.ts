/** What a bind and an unbind say to PostgreSQL, to be said again without the broker. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import * as v from 'valibot'
import { resolveServiceNames } from '../sandbox/names.ts'
import type { Users } from '../shared/kubedb/databases/database.ts'
import { connect } from '../shared/kubedb/databases/postgres-users.ts'
import { newNonce, userName } from '../shared/kubedb/passwords.ts'
import { adminOf } from '../test/support/admin.ts'
import type { Site } from './site.ts'

interface Login {
  host: string
  port: number
  user: string
  password: string
  database: string
}

type Step =
  | { client: number; does: 'connect'; login: Login }
  | { client: number; does: 'query'; text: string; values: readonly unknown[] }
  | { client: number; does: 'end' }

export interface EngineRecording {
  /** name of the user in it */
  user: string
  steps: Step[]
}

/** @returns what is said while a user is made, and while it is dropped */
export async function recordEngine(site: Site): Promise<{ bind: EngineRecording; unbind: EngineRecording }> {
  resolveServiceNames(site.cluster.names)
  const { host, username, password } = site.engine
  const open = () => connect(adminOf({ host, port: 5432, query: 'sslmode=disable', username, password }))
  const account = {
    name: userName(randomBytes(8).toString('hex'), newNonce()),
    password: randomBytes(16).toString('hex'),
    role: 'owner',
  } as const
  const during = async (work: (users: Users) => Promise<void>): Promise<EngineRecording> => {
    const steps = await listening(async () => {
      const users = await open()
      await work(users)
      await users.close()
    })
    return { user: account.name, steps }
  }
  return {
    bind: await during(async (users) => {
      await users.list()
      await users.create(account)
    }),
    unbind: await during((users) => users.drop(account.name)),
  }
}

const Texts = v.object({ text: v.string() })

/** Hears every client of this process. */
async function listening(act: () => Promise<void>): Promise<Step[]> {
  const steps: Step[] = []
  const clients: Client[] = []
  const { connect, query, end } = Client.prototype
  const numberOf = (client: Client) => {
    if (!clients.includes(client)) clients.push(client)
    return clients.indexOf(client)
  }
  Object.assign(Client.prototype, {
    connect(this: Client, ...rest: unknown[]): unknown {
      const { host, port, user = '', password, database = '' } = this
      const login = { host, port, user, password: String(password), database }
      steps.push({ client: numberOf(this), does: 'connect', login })
      return Reflect.apply(connect, this, rest)
    },
    query(this: Client, statement: unknown, values: unknown, ...rest: unknown[]): unknown {
      const text = typeof statement === 'string' ? statement : v.parse(Texts, statement).text
      steps.push({ client: numberOf(this), does: 'query', text, values: Array.isArray(values) ? values : [] })
      return Reflect.apply(query, this, [statement, values, ...rest])
    },
    end(this: Client, ...rest: unknown[]): unknown {
      steps.push({ client: numberOf(this), does: 'end' })
      return Reflect.apply(end, this, rest)
    },
  })
  try {
    await act()
  } finally {
    Object.assign(Client.prototype, { connect, query, end })
  }
  return steps
}

/** Says it again, to the driver itself, for another user. */
export async function replayEngine({ user, steps }: EngineRecording, other: string): Promise<void> {
  const clients = new Map<number, Client>()
  try {
    for (const step of steps) await replayStep(clients, step, user, other)
  } finally {
    // Where a statement was refused, its connection is still open.
    await Promise.all([...clients.values()].map((client) => client.end()))
  }
}

async function replayStep(
  clients: Map<number, Client>,
  step: Step,
  user: string,
  other: string,
): Promise<void> {
  const rename = (value: unknown) => (typeof value === 'string' ? value.replaceAll(user, other) : value)
  if (step.does === 'connect') {
    const opened = new Client({ ...step.login, connectionTimeoutMillis: 10_000, query_timeout: 10_000 })
    clients.set(step.client, opened)
    await opened.connect()
    return
  }
  const client = clients.get(step.client)
  if (client === undefined) throw new Error('a statement on a connection that was not opened')
  if (step.does === 'end') {
    clients.delete(step.client)
    await client.end()
  } else if (step.values.length === 0) {
    await client.query(String(rename(step.text)))
  } else {
    await client.query(step.text, step.values.map(rename))
  }
}
