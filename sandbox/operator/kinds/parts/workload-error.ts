/** What a workload cannot be made of; said to the user as a Warning event. */
export class WorkloadError extends Error {
  override readonly name = 'WorkloadError'
}
