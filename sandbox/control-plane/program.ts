import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { goProgram } from '../machine/go-program.ts'

const sources = import.meta.dirname

/**
 * The control plane's program, built from the Go files beside this one on first use.
 *
 * @param progress takes a line for people at the start of a build and every few seconds of it
 * @returns the path of the program
 * @throws if Go is missing or too old, the cache cannot be written, or the build fails
 */
export async function controlPlaneProgram(progress: (line: string) => void): Promise<string> {
  return await goProgram(
    {
      name: 'control-plane',
      sources,
      package: '.',
      // As in a release of Kubernetes: Helm and others ask which version they talk to.
      variables: { 'k8s.io/component-base/version.gitVersion': await kubernetesVersion() },
      announcement:
        'Building the control plane (kube-apiserver and etcd, from Go modules): some minutes, only once.',
      without: ', or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver.',
    },
    progress,
  )
}

/** @returns the version that go.mod pins: `v1.34.4` */
async function kubernetesVersion(): Promise<string> {
  const found = /^\s*k8s\.io\/kubernetes (v\S+)$/m.exec(await readFile(join(sources, 'go.mod'), 'utf8'))?.[1]
  if (found === undefined)
    throw new Error('sandbox/control-plane/go.mod names no version of k8s.io/kubernetes')
  return found
}
