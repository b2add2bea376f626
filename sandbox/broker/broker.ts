/** The broker as the sandbox runs it: functions as processes behind a gateway, each under its own ServiceAccount. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Namespaces } from '../../generate/roles.ts'
import type { ProgramName } from '../../shared/routes.ts'
import type { Administrator } from '../control-plane/administrator.ts'
import { writePrivateFile } from '../machine/atomic-file.ts'
import { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
import { mountServiceAccounts } from './service-accounts.ts'

/** One entry of the users file. */
export interface User {
  username: string
  password: string
  platform?: string
}

export interface BrokerOptions
  extends Pick<GatewayOptions, 'port' | 'functionsDirectory' | 'idleSeconds' | 'log' | 'onStart'> {
  administrator: Administrator
  apiServer: {
    host: string
    port: number
    /** PEM */
    ca: string
  }
  /** the roles must be in them already */
  namespaces: Namespaces
  /** holds users, keys and tokens; keys that are there are used again */
  directory: string
  users: readonly User[]
  /** by default the catalog that is shipped */
  catalogFile?: string
  /** names.json of the operator, where Services are no real ones */
  names?: string
  /** more of the functions' environment variables; these win */
  environment?: Readonly<Record<string, string>>
}

export interface Broker {
  gateway: Gateway
  /** what the functions read; a test may change it under them */
  usersFile: string
  keysDirectory: string
  stop(): Promise<void>
}

/** @returns whether these variables let bearer tokens in, so that every function has to review them */
export function takesTokens(environment: Readonly<Record<string, string | undefined>>): boolean {
  return environment.AUTHENTICATION === 'bearer' || environment.AUTHENTICATION === 'both'
}

/** Runs the functions behind a gateway, each with its own ServiceAccount, against any cluster. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { apiServer, namespaces, directory, log } = options
  const dashboard = options.environment?.DASHBOARD_URL !== undefined
  const usersFile = join(directory, 'users.json')
  const keysDirectory = join(directory, 'keys')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writePrivateFile(usersFile, JSON.stringify(options.users))
  await ensureKey(keysDirectory)
  const mounts = await mountServiceAccounts({
    administrator: options.administrator,
    namespace: namespaces.broker,
    ca: apiServer.ca,
    directory: join(directory, 'tokens'),
    all: takesTokens(options.environment ?? {}),
    dashboard,
    log: (line) => log('gateway', line),
  })
  const common: Record<string, string> = {
    DATABASE_NAMESPACE: namespaces.databases,
    CATALOG_FILE: options.catalogFile ?? join(import.meta.dirname, '../../knative/base/catalog.yaml'),
    USERS_FILE: usersFile,
    KEYS_DIRECTORY: keysDirectory,
    KUBERNETES_SERVICE_HOST: apiServer.host,
    KUBERNETES_SERVICE_PORT: String(apiServer.port),
    // As in the image: what V8 has compiled once, the next start of a function reads.
    NODE_COMPILE_CACHE: join(options.functionsDirectory, 'compile-cache'),
    ...(options.names !== undefined && { SANDBOX_NAMES: options.names }),
  }
  const environment = (name: ProgramName) => ({
    ...common,
    SERVICE_ACCOUNT_DIRECTORY: mounts.directory(name),
    ...options.environment,
  })
  try {
    const gateway = await startGateway({ ...options, environment, dashboard })
    return {
      gateway,
      usersFile,
      keysDirectory,
      async stop() {
        mounts.stop()
        await gateway.stop()
      },
    }
  } catch (error) {
    mounts.stop()
    throw error
  }
}

/** A key is made once: the passwords of all bindings are derived from it. */
async function ensureKey(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if ((await readdir(directory)).length > 0) return
  await writePrivateFile(join(directory, 'key-1'), randomBytes(32).toString('base64'))
}
