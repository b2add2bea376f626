/** MongoDB's wire protocol: OP_MSG, and whatever a driver says hello with. */
import { BSON } from 'mongodb'
import { isObject } from '../../../shared/values/json.ts'
import { cut, type Message, type Protocol } from './wire.ts'

const message = 2013
const header = 16

/** How a driver gets in, stays in touch and takes its leave. */
const courtesies = ['hello', 'ismaster', 'isMaster', 'saslStart', 'saslContinue', 'ping', 'endSessions']

export const mongodbProtocol: Protocol = {
  port: 27017,
  greets: true,
  fromClient: (sink) =>
    cut((buffer) => whole(buffer, (bytes) => ({ bytes, ...said(commandOf(bytes)) })), sink),
  fromServer: (sink) => cut((buffer) => whole(buffer, (bytes) => ({ bytes, ready: true })), sink),
  reads: (statement) => /^(usersInfo|aggregate)\b/.test(statement),
}

function whole(buffer: Buffer, make: (bytes: Buffer) => Message): [Message, number] | undefined {
  if (buffer.length < header) return undefined
  const length = buffer.readInt32LE(0)
  return buffer.length < length ? undefined : [make(buffer.subarray(0, length)), length]
}

/** @returns name of the command and what it is about; undefined for other messages */
function commandOf(bytes: Buffer): [string, unknown] | undefined {
  if (bytes.readInt32LE(12) !== message) return undefined
  // flags, then the kind of the section: 0 is the command itself, which drivers send first
  if (bytes[header + 4] !== 0) return undefined
  const start = header + 5
  const document = BSON.deserialize(bytes.subarray(start, start + bytes.readInt32LE(start)))
  return Object.entries(document)[0]
}

function said(command: [string, unknown] | undefined): { statement?: string } {
  if (!command || courtesies.includes(command[0])) return {}
  const [name, about] = command
  const subject = isObject(about) ? about.user : about
  return { statement: typeof subject === 'string' ? `${name} ${subject}` : name }
}
