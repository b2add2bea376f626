/** What may stand in the template of a URL about an instance, in braces. */

/** Name of the database's object, its namespace, and the id that the platform has for the instance. */
export const placeholders = ['name', 'namespace', 'instance'] as const
export type Placeholder = (typeof placeholders)[number]

const placeholder = /\{([^{}]*)\}/g

/** @returns the names in braces, known or not */
export function placeholdersIn(template: string): string[] {
  return [...template.matchAll(placeholder)].map(([, name = '']) => name)
}

/** @returns whether that name may stand in braces */
export function isPlaceholder(name: string): name is Placeholder {
  return placeholders.some((known) => known === name)
}

/** @returns the template as it is once it is filled, as far as its shape goes */
export function withoutPlaceholders(template: string): string {
  return template.replace(placeholder, 'x')
}
