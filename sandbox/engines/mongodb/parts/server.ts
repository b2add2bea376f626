/** What all connections of a server share. */
import { Member } from './member.ts'
import type { Settings } from './settings.ts'
import { Store } from './store.ts'
import { Users } from './users.ts'
import type { Doc } from './value.ts'

/** Makes chosen commands fail, as the real server's test commands do. */
export interface FailPoint {
  readonly commands: readonly string[]
  left: number
  readonly errorCode: number | undefined
  readonly closeConnection: boolean
  /** milliseconds */
  readonly block: number
  readonly writeConcernError: Doc | undefined
}

export class Server {
  readonly settings: Settings
  readonly store: Store
  readonly users: Users
  readonly members: readonly Member[]
  readonly started = Date.now()
  failPoint: FailPoint | undefined
  #numbers = 0

  /** @param journal file that keeps the data */
  constructor(settings: Settings, journal: string) {
    this.settings = settings
    this.store = new Store(journal)
    this.users = new Users(this.store)
    this.members = settings.addresses.map(
      (_, index) => new Member(index, settings.topology.type === 'sharded'),
    )
  }

  /** @returns a number that nothing else has: of a connection, an operation, a conversation */
  nextNumber(): number {
    this.#numbers++
    return this.#numbers
  }

  /** Makes the administrator what the database's Secret says. */
  setAdministrator(): void {
    const { user, credentials } = this.settings.administrator
    const what = { credentials: { 'SCRAM-SHA-256': credentials }, roles: [{ role: 'root', db: 'admin' }] }
    const name = { user, db: 'admin' }
    if (this.users.find(name)) this.users.update(name, what)
    else this.users.create(name, what)
  }
}
