/** Steps of an update as KubeDB's OpsRequests write them, the same for every kind. */
import type { JsonObject } from '../../shared/values/json.ts'

/** Types of OpsRequests, each with its body; a patch of the spec stands by itself. */
export type Steps = (string | JsonObject)[]

export const resized = (verticalScaling: JsonObject): Steps => ['VerticalScaling', { verticalScaling }]
export const sized = (cpu: string, memory: string) => ({
  resources: { requests: { cpu, memory }, limits: { memory } },
})
export const expanded = (disks: JsonObject): Steps => [
  'VolumeExpansion',
  { volumeExpansion: { mode: 'Online', ...disks } },
]
export const migrated = (migration: JsonObject): Steps => ['StorageMigration', { migration }]
export const toFast = { storageClassName: 'fast', oldPVReclaimPolicy: 'Delete' }
export const scaled = (horizontalScaling: JsonObject): Steps => ['HorizontalScaling', { horizontalScaling }]
export const recertified = (tls: JsonObject): Steps => ['ReconfigureTLS', { tls }]
export const reconfigured = (file: string, text: string): Steps => [
  'Reconfigure',
  { configuration: { removeCustomConfig: true, applyConfig: { [file]: text }, restart: 'auto' } },
]
export const upgraded = (targetVersion: string): Steps => [
  'UpdateVersion',
  { updateVersion: { targetVersion } },
]
