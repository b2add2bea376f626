/** Parameters, and commands that only tests have. */
import { Int32 } from 'bson'
import * as v from 'valibot'
import { argumentsOf, type Commands, doc, flag, integer, onCluster } from '../parts/command.ts'
import { Refusal } from '../parts/refusal.ts'
import type { FailPoint } from '../parts/server.ts'
import { type Doc, numberOf } from '../parts/value.ts'

const Data = v.object({
  failCommands: v.array(v.string()),
  errorCode: v.optional(integer),
  closeConnection: v.optional(flag, false),
  blockConnection: v.optional(flag, false),
  blockTimeMS: v.optional(integer, 0),
  writeConcernError: v.optional(doc),
})

export const administration: Commands = {
  getParameter: {
    adminOnly: true,
    needs: onCluster('getParameter'),
    run({ server, args }) {
      const parameters: Doc = {
        authenticationMechanisms: ['SCRAM-SHA-1', 'SCRAM-SHA-256'],
        scramSHA256IterationCount: new Int32(15_000),
        userCacheInvalidationIntervalSecs: new Int32(30),
        enableTestCommands: server.settings.testCommands,
        featureCompatibilityVersion: { version: server.settings.version.split('.').slice(0, 2).join('.') },
      }
      if (args.getParameter === '*') return parameters
      const found = Object.entries(parameters).filter(([name]) => name in args)
      if (found.length > 0) return Object.fromEntries(found)
      throw new Refusal(72, 'InvalidOptions', 'no option found to get')
    },
  },

  configureFailPoint: {
    adminOnly: true,
    needs: onCluster('setParameter'),
    run(call) {
      const { server, args } = call
      if (!server.settings.testCommands) {
        throw new Refusal(59, 'CommandNotFound', "no such command: 'configureFailPoint'")
      }
      const { mode, data } = argumentsOf(call, {
        mode: v.union([v.literal('off'), v.literal('alwaysOn'), v.object({ times: integer })]),
        data: v.optional(Data),
      })
      if (args.configureFailPoint !== 'failCommand') {
        throw new Refusal(52, 'FailPointSetFailed', `${String(args.configureFailPoint)} not found`)
      }
      server.failPoint = mode === 'off' || data === undefined ? undefined : failPoint(mode, data)
      return {}
    },
  },
}

function failPoint(mode: 'alwaysOn' | { times: number }, data: v.InferOutput<typeof Data>): FailPoint {
  const complaint = data.writeConcernError
  return {
    commands: data.failCommands,
    left: mode === 'alwaysOn' ? Number.POSITIVE_INFINITY : mode.times,
    errorCode: data.errorCode,
    closeConnection: data.closeConnection,
    block: data.blockConnection ? data.blockTimeMS : 0,
    writeConcernError: complaint && { ...complaint, code: new Int32(Number(numberOf(complaint.code) ?? 0)) },
  }
}
