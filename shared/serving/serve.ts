/** A handler becomes a process. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type Config, ConfigurationError, loadConfig } from '../environment/config.ts'
import { errorFields, log, setLogLevel } from '../environment/log.ts'
import { endInOrder } from '../http/end.ts'
import { type Application, listener } from '../http/listener.ts'
import { unexpected } from '../osb/edge/errors.ts'
import { requestIdentityHeader } from '../osb/edge/request-identity.ts'
import { type Handler, operation, type TokenScheme } from '../osb/operation.ts'
import { type FunctionName, type ProgramName, routeOf } from '../routes.ts'
import { startTelemetry, stopTelemetry } from '../telemetry/telemetry.ts'

/** milliseconds that a collector of telemetry is given at the end */
const flushPatience = 3000

/** Runs one function of the broker. */
export async function serve(name: FunctionName, handler: Handler): Promise<void> {
  const cluster = Object.keys(routeOf(name).permissions).length > 0
  await run(name, { cluster }, async (config) => operation(name, handler, config, await tokens(config)))
}

/**
 * Runs an application as a process: reads the configuration, listens, and ends in order on SIGTERM and SIGINT. With a
 * wrong configuration it logs every mistake and exits with 1.
 *
 * @param options.cluster whether it talks to the API server
 */
export async function run(
  name: ProgramName,
  options: { cluster: boolean },
  application: (config: Config) => Application | Promise<Application>,
): Promise<void> {
  process.on('uncaughtException', (error) => {
    log('error', 'uncaught error', { function: name, error: errorFields(error) })
    process.exit(1)
  })
  const config = configuration(name, options)
  setLogLevel(config.logLevel)
  await startTelemetry(process.env, `osb-${name}`)
  const server = listen(await application(config), name, config)
  const end = () => endInOrder(server, config.requestBudget, flush)
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
}

function configuration(name: ProgramName, options: { cluster: boolean }): Config {
  try {
    return loadConfig(process.env, options)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    for (const mistake of error.mistakes) log('error', mistake, { function: name })
    process.exit(1)
  }
}

/** Nothing of it is read at the start of a function that takes passwords only. */
async function tokens(config: Config): Promise<TokenScheme | undefined> {
  return config.authentication.bearer ? (await import('./bearer.ts')).tokenScheme(config) : undefined
}

function listen(app: Application, name: ProgramName, config: Config): Server {
  const budget = config.requestBudget * 1000
  const options = {
    // queue-proxy and activator reuse idle connections for 90 s; one closed under them is a 502 for a platform.
    keepAliveTimeout: 120_000,
    headersTimeout: Math.min(20_000, budget),
    requestTimeout: budget,
  }
  const server = createServer(
    options,
    listener(app, {
      malformed(incoming) {
        log('info', 'malformed request', { function: name, status: 400, method: incoming.method })
        const description = 'the request target or the Host header is malformed'
        return { status: 400, headers: echo(incoming), body: { error: 'BadRequest', description } }
      },
      failed(incoming, error) {
        log('error', 'unexpected error', { function: name, error: errorFields(error) })
        return { status: 500, headers: echo(incoming), body: unexpected }
      },
    }),
  )
  server.listen(config.port, () => log('debug', 'listening', { function: name, port: config.port }))
  return server
}

/** The request identity, for answers that no middleware sees. */
function echo({ headers }: IncomingMessage): Record<string, string> {
  const identity = headers[requestIdentityHeader.toLowerCase()]
  return typeof identity === 'string' ? { [requestIdentityHeader]: identity } : {}
}

async function flush(): Promise<void> {
  await stopTelemetry(flushPatience).catch((error) => {
    log('warn', 'telemetry could not be sent', { error: errorFields(error) })
  })
}
