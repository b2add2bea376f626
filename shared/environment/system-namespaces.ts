/** Namespaces of the cluster itself and of those that run it. */
export const systemNamespaces =
  /^((kube|kubedb|knative)(-.*)?|kourier-system|istio-system|cert-manager|ace|stash|kubestash)$/
