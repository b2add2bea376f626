/** MongoDB's wire protocol: OP_MSG, and of OP_QUERY what a client's first hello needs. */
import { bytesOf, type Doc, parseDoc } from './value.ts'

const reply = 1
const query = 2004
const message = 2013
const headerLength = 16
/** bytes; as the server's hello says */
export const maxMessageSize = 48_000_000

const checksumPresent = 1
const moreToCome = 2

/** One request. */
export interface Request {
  readonly id: number
  /** the command, with document sequences put in their places and its database as `$db` */
  readonly command: Doc
  /** how the answer is to be written; nobody waits for one that is `none` */
  readonly answer: 'message' | 'reply' | 'none'
}

/** The client does not speak the protocol: its connection is closed. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** Cuts a stream of bytes into requests. */
export class RequestReader {
  #buffer: Buffer = Buffer.alloc(0)

  /**
   * @returns the requests that are whole with this chunk
   * @throws {ProtocolError}
   */
  read(chunk: Uint8Array): Request[] {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#buffer, chunk])
    const requests: Request[] = []
    while (this.#buffer.length >= headerLength) {
      const length = this.#buffer.readInt32LE(0)
      if (length < headerLength || length > maxMessageSize)
        throw new ProtocolError(`message of ${length} bytes`)
      if (this.#buffer.length < length) break
      requests.push(requestOf(this.#buffer.subarray(0, length)))
      this.#buffer = this.#buffer.subarray(length)
    }
    return requests
  }
}

/** @returns the bytes of an answer */
export function answerTo(request: Request, doc: Doc): Uint8Array {
  const body = bytesOf(doc)
  // of a reply: flags, cursor, position and count; of a message: flags and the kind of section
  const start = request.answer === 'reply' ? Buffer.alloc(20) : Buffer.alloc(5)
  if (request.answer === 'reply') start.writeInt32LE(1, 16)
  const header = Buffer.alloc(headerLength)
  header.writeInt32LE(headerLength + start.length + body.length, 0)
  header.writeInt32LE(0, 4)
  header.writeInt32LE(request.id, 8)
  header.writeInt32LE(request.answer === 'reply' ? reply : message, 12)
  return Buffer.concat([header, start, body])
}

function requestOf(bytes: Buffer): Request {
  const id = bytes.readInt32LE(4)
  const code = bytes.readInt32LE(12)
  try {
    if (code === message) return messageOf(id, bytes)
    if (code === query) return queryOf(id, bytes)
  } catch (error) {
    throw new ProtocolError('a malformed message', { cause: error })
  }
  throw new ProtocolError(`operation ${code} is not supported`)
}

function messageOf(id: number, bytes: Buffer): Request {
  const flags = bytes.readUInt32LE(headerLength)
  const end = bytes.length - ((flags & checksumPresent) === 0 ? 0 : 4)
  let command: Doc | undefined
  const sequences: Doc = {}
  for (let at = headerLength + 4; at < end; ) {
    const kind = bytes[at]
    const size = bytes.readInt32LE(at + 1)
    const section = bytes.subarray(at + 1, at + 1 + size)
    if (kind === 0) command = parseDoc(section)
    else if (kind === 1) Object.assign(sequences, sequenceOf(section))
    else throw new ProtocolError(`section of kind ${kind}`)
    at += 1 + size
  }
  if (command === undefined) throw new ProtocolError('a message without a command')
  return {
    id,
    command: { ...command, ...sequences },
    answer: (flags & moreToCome) === 0 ? 'message' : 'none',
  }
}

function sequenceOf(section: Buffer): Doc {
  const nameEnd = section.indexOf(0, 4)
  const docs: Doc[] = []
  for (let at = nameEnd + 1; at < section.length; ) {
    const size = section.readInt32LE(at)
    docs.push(parseDoc(section.subarray(at, at + size)))
    at += size
  }
  return { [section.toString('utf8', 4, nameEnd)]: docs }
}

function queryOf(id: number, bytes: Buffer): Request {
  const nameEnd = bytes.indexOf(0, headerLength + 4)
  const [db = ''] = bytes.toString('utf8', headerLength + 4, nameEnd).split('.')
  const at = nameEnd + 1 + 8
  const command = parseDoc(bytes.subarray(at, at + bytes.readInt32LE(at)))
  return { id, command: { ...command, $db: db }, answer: 'reply' }
}
