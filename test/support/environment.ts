/** Does something with other environment variables; tests that use it must be serial. */
export async function withEnvironment(
  changes: Record<string, string>,
  work: () => Promise<void>,
): Promise<void> {
  const before = { ...process.env }
  Object.assign(process.env, changes)
  try {
    await work()
  } finally {
    for (const name of Object.keys(changes)) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
}
