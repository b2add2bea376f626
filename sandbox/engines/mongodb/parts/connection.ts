/** One client's connection: who is logged in on it. */
import type { Member } from './member.ts'
import type { Conversation } from './scram.ts'
import type { UserName } from './users.ts'

export class Connection {
  readonly id: number
  readonly member: Member
  /** aborts when the client has gone */
  readonly abort = new AbortController()
  /** a log-in under way */
  conversation: { id: number; db: string; scram: Conversation } | undefined
  #user: UserName | undefined
  #userId: string | undefined

  constructor(id: number, member: Member) {
    this.id = id
    this.member = member
  }

  get user(): UserName | undefined {
    return this.#user
  }

  /** identity of the user: another one of the same name is somebody else */
  get userId(): string | undefined {
    return this.#userId
  }

  logIn(user: UserName, userId: string): void {
    this.#user = user
    this.#userId = userId
  }

  logOut(): void {
    this.#user = undefined
    this.#userId = undefined
  }
}
