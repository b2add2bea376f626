import type { TestCluster } from './cluster.ts'

/** Makes the class `fast`, which plans of tests offer: webhooks speak before policies do, and look whether it is there. */
export async function makeFastClass(cluster: TestCluster): Promise<void> {
  const fast = { metadata: { name: 'fast' }, provisioner: 'example.com/disk' }
  const { status, text } = await cluster.admin('POST', '/apis/storage.k8s.io/v1/storageclasses', fast)
  if (status !== 201 && status !== 409) throw new Error(`the storage class fast: ${status} ${text}`)
}
