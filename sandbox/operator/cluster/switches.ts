import type { Kube } from './kube.ts'
import { ConfigMap, resources } from './resources.ts'

/** Name of the ConfigMap that makes the operator misbehave in its namespace; see README.md. */
export const switchesName = 'sandbox-switches'

/** Faults asked for in a namespace. */
export interface Switches {
  /** Why no pod ever starts. */
  readonly neverReady: string | undefined
  /** Milliseconds before each stage of provisioning and each step of an OpsRequest. */
  readonly slow: number
  /** Types of OpsRequests that fail. */
  readonly failOps: readonly string[]
  /** Types of OpsRequests that stay Progressing. */
  readonly stallOps: readonly string[]
  /** Types of OpsRequests that are Skipped. */
  readonly skipOps: readonly string[]
  /** Issuers of certificates that are not there. */
  readonly missingIssuers: readonly string[]
  /** What the webhook says to every new database. */
  readonly refuse: string | undefined
  /** Types of OpsRequests that the webhook refuses. */
  readonly refuseOps: readonly string[]
  /** What the webhook falls over: `database`, and types of OpsRequests. */
  readonly panic: readonly string[]
  /** Load balancers never get an address. */
  readonly noLoadBalancer: boolean
  /** The server is down. */
  readonly notAccepting: boolean
}

/** Reads the switches of a namespace; without a ConfigMap all are off. */
export async function readSwitches(kube: Kube, namespace: string): Promise<Switches> {
  const found = await kube.get(ConfigMap, resources.configMaps, { namespace, name: switchesName })
  const data = found?.data ?? {}
  const text = (key: string) => data[key]?.trim() || undefined
  const list = (key: string) =>
    (text(key) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
  const slow = Number(text('slow') ?? 0)
  return {
    neverReady: text('never-ready'),
    slow: Number.isFinite(slow) ? slow : 0,
    failOps: list('fail-ops'),
    stallOps: list('stall-ops'),
    skipOps: list('skip-ops'),
    missingIssuers: list('missing-issuers'),
    refuse: text('refuse'),
    refuseOps: list('refuse-ops'),
    panic: list('panic'),
    noLoadBalancer: text('no-load-balancer') !== undefined,
    notAccepting: text('not-accepting') !== undefined,
  }
}
