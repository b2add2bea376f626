import { readFile } from 'node:fs/promises'
import { Agent, type RequestOptions, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { KubeConfig } from '@kubernetes/client-node'
import type { Administrator } from './administrator.ts'

/** Somebody's own cluster. */
export interface ForeignCluster {
  administrator: Administrator
  apiServer: { host: string; port: number; ca: string }
  /** its URL, for people */
  url: string
}

/**
 * Reads the kubeconfig that kubectl would use (KUBECONFIG, else ~/.kube/config), its current context.
 *
 * @throws with a sentence for people when the functions could not use that cluster
 */
export async function clusterOfKubeconfig(): Promise<ForeignCluster> {
  const config = new KubeConfig()
  config.loadFromDefault()
  const cluster = config.getCurrentCluster()
  if (!cluster) throw new Error('The kubeconfig has no current context: kubectl config use-context sets one.')
  const server = new URL(cluster.server)
  if (server.protocol !== 'https:' || server.pathname !== '/') {
    throw new Error(
      `The functions cannot use ${cluster.server}: it must be https://<host>:<port>. KUBECONFIG names the file to use.`,
    )
  }
  const ca = cluster.caData
    ? Buffer.from(cluster.caData, 'base64').toString()
    : cluster.caFile && (await readFile(cluster.caFile, 'utf8'))
  if (!ca) {
    throw new Error(
      `The kubeconfig names no certificate authority for ${server.href}: the functions need one.`,
    )
  }
  return {
    administrator: administratorOf(config, server),
    apiServer: { host: server.hostname, port: Number(server.port || 443), ca },
    url: server.href,
  }
}

function administratorOf(config: KubeConfig, server: URL): Administrator {
  let agent: Agent | undefined
  return async function administrator(method, path, body, patchType = 'application/merge-patch+json') {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const options: RequestOptions = {
      method,
      signal: AbortSignal.timeout(30_000),
      headers: {
        accept: 'application/json',
        ...(content !== undefined && {
          'content-type': method === 'PATCH' ? patchType : 'application/json',
          'content-length': Buffer.byteLength(content),
        }),
      },
    }
    await config.applyToHTTPSOptions(options)
    // One that keeps its connections: the client makes another for every request.
    agent ??= new Agent({ ...(options.agent instanceof Agent ? options.agent.options : {}), keepAlive: true })
    options.agent = agent
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, server), options, (answer) => {
        text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject)
      })
      outgoing.once('error', (error) =>
        reject(new Error(`${server.href} cannot be reached: ${error.message || error}`, { cause: error })),
      )
      outgoing.end(content)
    })
  }
}
