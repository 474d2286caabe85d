/**
 * Optimal pairing of rows with columns.
 *
 *   weights or costs, row by row --> for each row its column, or -1
 *
 * Shortest augmenting paths with dual variables, for rectangles: R. Jonker, A. Volgenant, "A shortest augmenting path
 * algorithm for dense and sparse linear assignment problems", Computing 38, 1987, in the form of D. F. Crouse,
 * "On implementing 2D rectangular assignment algorithms", IEEE TAES 52(4), 2016, section IV.
 * At most rows² x columns steps (the smaller side counts as rows).
 */

/** Pairs so that the sum of weights is greatest. A weight that is not above zero (or no number) forbids the pair. */
export function matchByWeight(weights: Float64Array, rows: number, columns: number): Int32Array {
  return pair(weights, rows, columns, (weight) => (weight > 0 && weight < Infinity ? -weight : 0));
}

/** As many pairs as possible, and among those the least sum of costs. A cost that is not finite forbids the pair. */
export function matchMost(costs: Float64Array, rows: number, columns: number): Int32Array {
  let [least, greatest] = [Infinity, -Infinity];
  for (const cost of costs) {
    if (!Number.isFinite(cost)) continue;
    least = Math.min(least, cost);
    greatest = Math.max(greatest, cost);
  }
  // One pair more outweighs whatever the others can save.
  const reward = 1 + Math.min(rows, columns) * (greatest - least);
  return pair(costs, rows, columns, (cost) => (Number.isFinite(cost) ? cost - least - reward : 0));
}

/** @param price of an entry: below zero where the pair is allowed, 0 where it is not */
function pair(entries: Float64Array, rows: number, columns: number, price: (entry: number) => number): Int32Array {
  if (entries.length !== rows * columns) throw new RangeError(`${entries.length} entries for ${rows} x ${columns}`);
  const pairs = new Int32Array(rows).fill(-1);
  if (rows === 0 || columns === 0) return pairs;
  const transposed = rows > columns;
  const [short, long] = transposed ? [columns, rows] : [rows, columns];
  const prices = new Float64Array(entries.length);
  for (let s = 0; s < short; s += 1) {
    for (let l = 0; l < long; l += 1) {
      prices[s * long + l] = price(entries[transposed ? l * columns + s : s * columns + l] ?? 0);
    }
  }
  assign(prices, short, long).forEach((l, s) => {
    if ((prices[s * long + l] ?? 0) >= 0) return;
    if (transposed) pairs[l] = s;
    else pairs[s] = l;
  });
  return pairs;
}

/** Least sum of costs with every row paired; rows <= columns, all costs finite. */
function assign(costs: Float64Array, rows: number, columns: number): Int32Array {
  const columnOf = new Int32Array(rows).fill(-1);
  const rowOf = new Int32Array(columns).fill(-1);
  const rowDual = new Float64Array(rows);
  const columnDual = new Float64Array(columns);
  const distance = new Float64Array(columns);
  const cameFrom = new Int32Array(columns);
  const open = new Int32Array(columns);
  const closed = new Int32Array(columns);

  for (let start = 0; start < rows; start += 1) {
    // Dijkstra over reduced costs, from the free row to the nearest free column.
    distance.fill(Infinity);
    for (let c = 0; c < columns; c += 1) open[c] = c;
    let openCount = columns;
    let closedCount = 0;
    let reached = 0;
    let row = start;
    let sink = -1;
    while (sink < 0) {
      let nearest = -1;
      let least = Infinity;
      const base = reached - (rowDual[row] as number);
      for (let o = 0; o < openCount; o += 1) {
        const c = open[o] as number;
        const through = base + (costs[row * columns + c] as number) - (columnDual[c] as number);
        if (through < (distance[c] as number)) {
          distance[c] = through;
          cameFrom[c] = row;
        }
        const found = distance[c] as number;
        // On a tie a free column ends the search at once.
        if (found < least || (found === least && rowOf[c] === -1)) {
          least = found;
          nearest = o;
        }
      }
      const column = open[nearest] as number;
      openCount -= 1;
      open[nearest] = open[openCount] as number;
      closed[closedCount] = column;
      closedCount += 1;
      reached = least;
      if (rowOf[column] === -1) sink = column;
      else row = rowOf[column] as number;
    }

    rowDual[start] = (rowDual[start] as number) + reached;
    for (let k = 0; k < closedCount - 1; k += 1) {
      const c = closed[k] as number;
      const slack = reached - (distance[c] as number);
      const r = rowOf[c] as number;
      columnDual[c] = (columnDual[c] as number) - slack;
      rowDual[r] = (rowDual[r] as number) + slack;
    }

    for (let c = sink; ;) {
      const r = cameFrom[c] as number;
      const next = columnOf[r] as number;
      rowOf[c] = r;
      columnOf[r] = c;
      if (r === start) break;
      c = next;
    }
  }
  return columnOf;
}
