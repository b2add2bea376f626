/** What a bind and an unbind say to their engine, to be said again without the broker. */
import { randomBytes } from 'node:crypto'
import { resolveServiceNames } from '../sandbox/broker/names.ts'
import { newNonce, userName } from '../shared/kubedb/bindings/passwords.ts'
import type { Admin, Users } from '../shared/kubedb/databases/database.ts'
import { kindOf } from '../shared/kubedb/databases/kinds.ts'
import { administratorOf } from './administrator.ts'
import type { Instance, Site } from './site.ts'
import type { Talk } from './talk.ts'

export interface Talks {
  bind: Talk
  unbind: Talk
}

/** @returns undefined where the API server is all that is asked */
export async function recordTalks(site: Site, { engine, id }: Instance): Promise<Talks | undefined> {
  const { driver } = engine
  if (!driver) return undefined
  resolveServiceNames(site.cluster.names)
  const { kind, admin } = await administratorOf(site, id)
  const { accounts } = kindOf(kind)
  if (accounts.by !== 'connection') throw new Error(`users of ${kind} are not made over a connection`)
  const open = () => accounts.connect(nowFor(admin))
  const account = {
    name: userName(randomBytes(8).toString('hex'), newNonce()),
    password: randomBytes(16).toString('hex'),
    role: 'owner',
  } as const
  const heard = (work: (users: Users) => Promise<unknown>): Promise<Talk> =>
    driver.listen(account.name, async () => {
      const users = await open()
      await work(users)
      await users.close()
    })
  return {
    bind: await heard(async (users) => {
      await users.list()
      await users.create(account)
    }),
    unbind: await heard((users) => users.drop(account.name)),
  }
}

function nowFor(admin: Omit<Admin, 'deadline' | 'signal'>): Admin {
  return { ...admin, deadline: Date.now() + 30_000, signal: new AbortController().signal }
}
