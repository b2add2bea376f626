/** How an engine's clients and servers talk, as far as a proxy between them has to know. */

export interface Message {
  bytes: Buffer
  /** what a person would say of it, where the message begins a statement; never with a password in it */
  statement?: string
  /** with it the server has answered whole */
  ready?: boolean
}

export type Sink = (message: Message) => void

export interface Protocol {
  readonly port: number
  /** the way of a connection into the server ends with the server's first whole answer; else it is in at once */
  readonly greets: boolean
  /** @returns takes what a client sends, one for each connection */
  fromClient(sink: Sink): (data: Buffer) => void
  /** @returns takes what the server sends, one for each connection */
  fromServer(sink: Sink): (data: Buffer) => void
  /** @returns whether a statement leaves everything as it was */
  reads(statement: string): boolean
}

/**
 * @param next the first message that the buffer holds whole, and its length; undefined while it is not all there
 * @returns takes bytes however they are cut
 */
export function cut(
  next: (buffer: Buffer) => [Message, number] | undefined,
  sink: Sink,
): (data: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    for (let found = next(rest); found; found = next(rest)) {
      const [message, length] = found
      rest = rest.subarray(length)
      sink(message)
    }
  }
}
