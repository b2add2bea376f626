/** Whether somebody with certain roles may do something. */
import type { Pattern, Privilege } from './roles.ts'

/** What a command acts on: the server as a whole, a database, or a collection. */
export type Target = 'cluster' | { readonly db: string; readonly collection?: string }

/** A command is carried out for whom all of these are allowed. */
export interface Need {
  readonly action: string
  readonly on: Target
}

export function allows(privileges: readonly Privilege[], { action, on }: Need): boolean {
  return privileges.some((privilege) => privilege.actions.includes(action) && covers(privilege.on, on))
}

/** @returns whether there is anything in the database that somebody may do */
export function mayAnythingIn(privileges: readonly Privilege[], db: string): boolean {
  return privileges.some(({ on }) => {
    if (on.match === 'normal') return isNormalDatabase(db)
    return on.match === 'collection' || ((on.match === 'database' || on.match === 'exact') && on.db === db)
  })
}

function covers(pattern: Pattern, target: Target): boolean {
  if (target === 'cluster') return pattern.match === 'cluster'
  const { db, collection } = target
  // a database as a whole counts as one of its normal collections
  const normal = collection === undefined || !collection.startsWith('system.')
  switch (pattern.match) {
    case 'cluster':
      return false
    case 'database':
      return normal && pattern.db === db
    case 'exact':
      return pattern.db === db && pattern.collection === collection
    case 'collection':
      return pattern.collection === collection
    case 'normal':
      return normal && isNormalDatabase(db)
  }
}

function isNormalDatabase(db: string): boolean {
  return db !== 'local' && db !== 'config'
}
