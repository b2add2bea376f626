/** MySQL's protocol, as clients speak it that know neither compression nor the shorter end of results (mysql2). */
import { cut, type Message, type Protocol, type Sink } from './wire.ts'

const ok = 0x00
const end = 0xfe
const error = 0xff
const query = 0x03

export const mysqlProtocol: Protocol = {
  port: 3306,
  greets: true,

  fromClient: (sink) =>
    cut(
      (buffer) =>
        packet(buffer, (bytes, content) =>
          // Numbers of packets begin anew with each command.
          bytes[3] === 0 && content[0] === query
            ? { bytes, statement: textOf(content.subarray(1)) }
            : { bytes },
        ),
      sink,
    ),

  fromServer(sink: Sink) {
    /** of the answer that is under way */
    let expected: 'log-in' | 'first' | 'columns' | 'rows' = 'log-in'
    const ends = (content: Buffer): boolean => {
      const [kind = 0] = content
      const closes = kind === end && content.length < 9
      switch (expected) {
        case 'log-in':
          // A client that meant to encrypt leaves after the greeting, and comes back.
          if (kind === ok || kind === error) expected = 'first'
          return true
        case 'first':
          if (kind === ok || kind === error || closes) return true
          expected = 'columns'
          return false
        case 'columns':
          if (kind === error) return true
          if (closes) expected = 'rows'
          return false
        case 'rows':
          return kind === error || closes
      }
    }
    return cut(
      (buffer) =>
        packet(buffer, (bytes, content) => {
          const ready = ends(content)
          if (ready && expected !== 'log-in') expected = 'first'
          return { bytes, ready }
        }),
      sink,
    )
  },

  reads: (statement) => /^\s*(SELECT|SHOW|SET SESSION)\b/.test(statement),
}

/** MySQL 8 has clients say first how many attributes the statement has; these have none. */
function textOf(content: Buffer): string {
  const attributes = content[0] === 0 && content[1] === 1
  return content.subarray(attributes ? 2 : 0).toString('utf8')
}

/** @returns what `make` makes of the first packet and its content; undefined while it is not all there */
function packet(
  buffer: Buffer,
  make: (bytes: Buffer, content: Buffer) => Message,
): [Message, number] | undefined {
  if (buffer.length < 4) return undefined
  const length = 4 + buffer.readUIntLE(0, 3)
  if (buffer.length < length) return undefined
  const bytes = buffer.subarray(0, length)
  return [make(bytes, bytes.subarray(4)), length]
}
