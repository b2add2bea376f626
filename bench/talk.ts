/**
 * What the broker says to an engine while it makes or drops a user, heard in its driver, to be said again to the driver
 * by nobody but the benchmark.
 */

/** Puts another user's name in the place of the one that was heard. */
export type Rename = (text: string) => string

export interface Talk {
  /** statements, commands or requests; what a driver says by itself when it connects is not counted */
  statements: number
  /** how many one after the other, where those that are said at once count as one */
  inTurn: number
  /** Says it again, in the same order and as much of it at once, for the user of that name. */
  replay(user: string): Promise<void>
}

export interface Driver {
  /**
   * Hears everything that this process says through the driver.
   *
   * @param user name of the user that it is about
   */
  listen(user: string, act: () => Promise<void>): Promise<Talk>
}

/** Called when the answer is there. */
type Answered = () => void

type Step<S> =
  | { client: number; does: 'connect'; open: () => Promise<S> }
  | { client: number; does: 'say'; say: (session: S, rename: Rename) => Promise<unknown> }
  | { client: number; does: 'end' }

/**
 * Notes what is said, and what of it is said at once.
 *
 * @typeParam C the driver's client as the broker uses it, @typeParam S what stands for it when all is said again
 */
export class Ear<C extends object, S> {
  readonly #clients: C[] = []
  /** steps of one round are said at once; the next round waits for their answers */
  readonly #rounds: Step<S>[][] = []
  readonly #end: (session: S) => Promise<unknown>
  #answered = 0

  /** @param end says good-bye */
  constructor(end: (session: S) => Promise<unknown>) {
    this.#end = end
  }

  knows(client: C): boolean {
    return this.#clients.includes(client)
  }

  connects(client: C, open: () => Promise<S>): Answered {
    return this.#note({ client: this.#clients.push(client) - 1, does: 'connect', open })
  }

  says(client: C, say: (session: S, rename: Rename) => Promise<unknown>): Answered {
    return this.#note({ client: this.#clients.indexOf(client), does: 'say', say })
  }

  ends(client: C): Answered {
    return this.#note({ client: this.#clients.indexOf(client), does: 'end' })
  }

  /** @param user name of the user in what was heard */
  talk(user: string): Talk {
    const said = this.#rounds.map((round) => round.filter(({ does }) => does === 'say').length)
    return {
      statements: said.reduce((sum, one) => sum + one, 0),
      inTurn: said.filter((one) => one > 0).length,
      replay: (other) => this.#replay((text) => text.replaceAll(user, other)),
    }
  }

  #note(step: Step<S>): Answered {
    const round = this.#answered
    this.#rounds[round] = [...(this.#rounds[round] ?? []), step]
    return () => {
      this.#answered = Math.max(this.#answered, round + 1)
    }
  }

  async #replay(rename: Rename): Promise<void> {
    const sessions = new Map<number, { session: S }>()
    const carryOut = async (step: Step<S>): Promise<void> => {
      if (step.does === 'connect') {
        sessions.set(step.client, { session: await step.open() })
        return
      }
      const known = sessions.get(step.client)
      if (!known) throw new Error('something is said on a connection that was not opened')
      if (step.does === 'say') {
        await step.say(known.session, rename)
      } else {
        sessions.delete(step.client)
        await this.#end(known.session)
      }
    }
    try {
      for (const round of this.#rounds) await Promise.all(round.map(carryOut))
    } finally {
      // Where something was refused, its connection is still open.
      await Promise.all([...sessions.values()].map(({ session }) => this.#end(session)))
    }
  }
}

/**
 * Lets methods be heard while `act` runs.
 *
 * @param prototype of the driver's class
 * @param methods stand in the place of those of the class
 */
export async function hearing(
  prototype: object,
  methods: Readonly<Record<string, unknown>>,
  act: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(methods).map(
    (name) => [name, Object.getOwnPropertyDescriptor(prototype, name)] as const,
  )
  Object.assign(prototype, methods)
  try {
    await act()
  } finally {
    for (const [name, own] of before) {
      if (own) Object.defineProperty(prototype, name, own)
      else Reflect.deleteProperty(prototype, name)
    }
  }
}

/** @returns what a method gave, having told when its promise settles */
export function whenSettled(result: unknown, answered: Answered): unknown {
  if (result instanceof Promise) result.then(answered, answered)
  return result
}
