/** What the doctor looks at, and what it says. */
import type { Database } from '../shared/kubedb/databases/database.ts'
import type { Service } from '../shared/osb/catalog/catalog.ts'
import type { Ask } from './kube.ts'

/** What is wrong, and what a person does about it. */
export interface Finding {
  /**
   * `broken`: something is refused or fails because of it; `doubtful`: it may be meant so; `note`: worth knowing where
   * everything is in order
   */
  severity: 'broken' | 'doubtful' | 'note'
  problem: string
  cure: string
  /** what `--repair` does about it; resolves to what was done */
  repair?: () => Promise<string>
}

export interface Examination {
  ask: Ask
  /** the broker's own namespace */
  broker: string
  /** where databases are */
  databases: readonly string[]
  /** of the catalog */
  services: readonly Service[]
  /** the kinds that the catalog offers */
  kinds: readonly Database[]
  /** now, in milliseconds since the epoch */
  now: number
}

/** One thing to look at, one file each in checks/. */
export interface Check {
  /** what is in order when there is no finding */
  title: string
  examine(examination: Examination): Promise<Finding[]>
}

export const broken = (problem: string, cure: string): Finding => ({ severity: 'broken', problem, cure })
export const doubtful = (problem: string, cure: string): Finding => ({ severity: 'doubtful', problem, cure })
export const note = (problem: string, cure: string): Finding => ({ severity: 'note', problem, cure })
