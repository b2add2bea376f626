import { createServer } from 'node:http'
import { ConfigurationError } from '../shared/environment/config.ts'
import { log, setLogLevel } from '../shared/environment/log.ts'
import { loadRouterConfig, type RouterConfig } from '../shared/gateway/config.ts'
import { router } from '../shared/gateway/router.ts'
import { endInOrder } from '../shared/http/end.ts'

/** The eleventh deployable: the ten functions under one address, where no gateway can do that. */
const config = configuration()
setLogLevel(config.logLevel)
// Load balancers and Envoy reuse idle connections for up to an hour; one closed under them is a 502 for a platform.
// The functions judge requests: how long one takes to come in is bounded by the time for its answer.
const options = { keepAliveTimeout: 3_700_000, headersTimeout: 20_000, requestTimeout: config.timeout * 1000 }
const server = createServer(options, router(config))
server.listen(config.port, () => log('debug', 'listening', { function: 'edge-router', port: config.port }))
const end = () => endInOrder(server, config.timeout)
process.once('SIGTERM', end)
process.once('SIGINT', end)

function configuration(): RouterConfig {
  try {
    return loadRouterConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    for (const mistake of error.mistakes) log('error', mistake, { function: 'edge-router' })
    process.exit(1)
  }
}
