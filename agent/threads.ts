/** The threads of this program by name: which room runs when main starts in a worker. */

export async function runThread(data: { readonly entry: string }): Promise<void> {
  switch (data.entry) {
    default:
      throw new Error(`No thread is named ${data.entry}.`);
  }
}
