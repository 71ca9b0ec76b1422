/** The exports of the module `name` (URL or public name), by name; nothing is known of their types. */
export async function importModule(name: string): Promise<Readonly<Record<string, unknown>>> {
  const module: unknown = await import(name);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a module namespace is an object
  return module as Readonly<Record<string, unknown>>;
}
