/** What a client asks first: what kind of server this is, and which ways to log in there are. */
import { Int32 } from 'bson'
import type { Call, Command, Commands } from '../parts/command.ts'
import { roleIn, wireVersionOf } from '../parts/topology.ts'
import { type Doc, isDoc } from '../parts/value.ts'
import { maxMessageSize } from '../parts/wire.ts'
import { mechanismsOf, start } from './authentication.ts'

function answer({ server, member, connection, name, args }: Call): Doc {
  const { topology, version } = server.settings
  const legacy = name !== 'hello'
  const speculative = args.speculativeAuthenticate
  const begun = isDoc(speculative) ? speculate(server, connection, speculative) : undefined
  return {
    [legacy ? 'ismaster' : 'isWritablePrimary']: member.index === 0 || topology.type !== 'replicaSet',
    ...(args.helloOk === true ? { helloOk: true } : {}),
    ...roleIn(topology, member.index),
    maxBsonObjectSize: new Int32(16_777_216),
    maxMessageSizeBytes: new Int32(maxMessageSize),
    maxWriteBatchSize: new Int32(100_000),
    localTime: new Date(),
    logicalSessionTimeoutMinutes: new Int32(30),
    connectionId: new Int32(connection.id),
    minWireVersion: new Int32(0),
    maxWireVersion: new Int32(wireVersionOf(version)),
    readOnly: false,
    ...(typeof args.saslSupportedMechs === 'string'
      ? { saslSupportedMechs: mechanismsOf(server, args.saslSupportedMechs) }
      : {}),
    ...(begun === undefined ? {} : { speculativeAuthenticate: begun }),
  }
}

/** A log-in that cannot begin is left out: the client then tries in earnest and is told why not. */
function speculate(server: Call['server'], connection: Call['connection'], command: Doc): Doc | undefined {
  const db = command.db
  if (typeof db !== 'string' || command.mechanism !== 'SCRAM-SHA-256') return undefined
  try {
    return start(server, connection, db, command.payload)
  } catch {
    return undefined
  }
}

const command: Command = { needs: 'nothing', run: answer }

export const hello: Commands = {
  hello: command,
  isMaster: command,
  ismaster: command,
  ping: { needs: 'nothing', run: () => ({}) },
  buildInfo: {
    needs: 'nothing',
    run: ({ server }) => ({
      version: server.settings.version,
      gitVersion: 'none: the sandbox has a stand-in',
      modules: [],
      versionArray: server.settings.version.split('.').map((part) => new Int32(Number.parseInt(part, 10))),
      bits: new Int32(64),
      maxBsonObjectSize: new Int32(16_777_216),
    }),
  },
}
