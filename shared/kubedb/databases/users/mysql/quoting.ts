/** Names and texts inside statements that take no parameters. The session's sql_mode is empty: see `session.ts`. */

/** @returns the name in backticks, whatever it holds */
export function identifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** @returns the text as a string constant, whatever it holds */
export function literal(text: string): string {
  return `'${text.replace(/[\\']/g, String.raw`\$&`)}'`
}

/**
 * @param wildcards whether the server reads `_` and `%` in the database of a GRANT as such (not so with partial_revokes)
 * @returns the database as a GRANT names it, which would otherwise cover others of like names
 */
export function granted(database: string, wildcards: boolean): string {
  return identifier(wildcards ? database.replace(/[\\_%]/g, String.raw`\$&`) : database)
}
