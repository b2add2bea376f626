/** `mongod.conf`: which settings there are, and what the real server says to others. */
import * as v from 'valibot'
import { parse, YAMLParseError } from 'yaml'
import { type Doc, isDoc } from './value.ts'

type Kind = 'number' | 'boolean' | 'text'

/** Settings of the real server that a database of KubeDB may be given. Most have no effect on the stand-in. */
const known: { [path: string]: Kind } = {
  'net.bindIp': 'text',
  'net.compression.compressors': 'text',
  'net.ipv6': 'boolean',
  'net.maxIncomingConnections': 'number',
  'net.port': 'number',
  'net.tls.allowConnectionsWithoutCertificates': 'boolean',
  'net.wireObjectCheck': 'boolean',
  'operationProfiling.mode': 'text',
  'operationProfiling.slowOpSampleRate': 'number',
  'operationProfiling.slowOpThresholdMs': 'number',
  'replication.enableMajorityReadConcern': 'boolean',
  'replication.oplogSizeMB': 'number',
  'security.authorization': 'text',
  'security.javascriptEnabled': 'boolean',
  'storage.directoryPerDB': 'boolean',
  'storage.journal.commitIntervalMs': 'number',
  'storage.oplogMinRetentionHours': 'number',
  'storage.syncPeriodSecs': 'number',
  'storage.wiredTiger.collectionConfig.blockCompressor': 'text',
  'storage.wiredTiger.engineConfig.cacheSizeGB': 'number',
  'storage.wiredTiger.engineConfig.directoryForIndexes': 'boolean',
  'storage.wiredTiger.engineConfig.journalCompressor': 'text',
  'storage.wiredTiger.indexConfig.prefixCompression': 'boolean',
  'systemLog.quiet': 'boolean',
  'systemLog.traceAllExceptions': 'boolean',
  'systemLog.verbosity': 'number',
}

/** Values that some settings are limited to. */
const choices: { [path: string]: readonly string[] } = {
  'operationProfiling.mode': ['off', 'slowOp', 'all'],
  'security.authorization': ['enabled', 'disabled'],
}

const parameters: { [name: string]: Kind } = {
  authenticationMechanisms: 'text',
  cursorTimeoutMillis: 'number',
  enableTestCommands: 'boolean',
  internalQueryExecYieldIterations: 'number',
  localLogicalSessionTimeoutMinutes: 'number',
  logLevel: 'number',
  maxIndexBuildMemoryUsageMegabytes: 'number',
  maxTransactionLockRequestTimeoutMillis: 'number',
  notablescan: 'boolean',
  transactionLifetimeLimitSeconds: 'number',
  ttlMonitorEnabled: 'boolean',
  ttlMonitorSleepSecs: 'number',
  wiredTigerConcurrentReadTransactions: 'number',
  wiredTigerConcurrentWriteTransactions: 'number',
}

/** The settings by their dotted paths. */
export type Configuration = ReadonlyMap<string, string | number | boolean>

/**
 * @param text of `mongod.conf`; may be empty
 * @throws {Error} in the words of the real server, for settings that it does not have or that are of another type
 */
export function readConfiguration(text: string): Configuration {
  const settings = new Map<string, string | number | boolean>()
  for (const [path, value] of leaves(document(text), '')) {
    const parameter = /^setParameter\.(.+)$/.exec(path)?.[1]
    const kind = parameter === undefined ? entry(known, path) : entry(parameters, parameter)
    if (kind === undefined && parameter !== undefined) {
      throw new Error(`Unknown --setParameter '${parameter}'`)
    }
    if (kind === undefined)
      throw new Error(`Unrecognized option: ${path}\ntry 'mongod --help' for more information`)
    const checked = v.safeParse(kinds[kind], value)
    if (!checked.success) {
      throw new Error(
        `Error parsing option "${path}" as ${names[kind]} in config file: bad value: ${String(value)}`,
      )
    }
    const allowed = entry(choices, path)
    if (allowed && !allowed.includes(String(value))) {
      throw new Error(`Bad value for ${path}: ${String(value)}. Supported modes are: (${allowed.join('|')})`)
    }
    settings.set(path, checked.output)
  }
  return settings
}

const kinds = { number: v.number(), boolean: v.boolean(), text: v.string() }
const names = { number: 'number', boolean: 'bool', text: 'string' }

function entry<T>(table: { [name: string]: T }, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function document(text: string): Doc {
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error
    throw new Error(`Error parsing YAML config file: ${error.message.split('\n')[0]}`, { cause: error })
  }
  if (parsed === null || parsed === undefined) return {}
  if (isDoc(parsed)) return parsed
  throw new Error('Error parsing YAML config file: it is no mapping of settings')
}

function leaves(doc: Doc, prefix: string): [path: string, value: unknown][] {
  return Object.entries(doc).flatMap(([name, value]): [string, unknown][] => {
    const path = `${prefix}${name}`
    return isDoc(value) ? leaves(value, `${path}.`) : [[path, value]]
  })
}
