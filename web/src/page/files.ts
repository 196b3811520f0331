/** Which films were chosen or dropped: files, and all of a folder. */

export interface Chosen {
  file: File;
  path: string;
}

export interface Found {
  films: Chosen[];
  skipped: number; // files of folders that are no pictures
}

const FILM = /\.(dcm|dicom|png|jpe?g|tiff?|webp)$/i;

/** Of a file input; a folder's files have their path in it. */
export async function ofInput(input: HTMLInputElement): Promise<Found> {
  const files = [...(input.files ?? [])];
  const chosen = files.map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  return input.webkitdirectory ? pictures(chosen) : { films: chosen, skipped: 0 };
}

/** Of a drop; it has to be called within the event. */
export async function ofDrop(transfer: DataTransfer): Promise<Found> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
  if (!entries.length) return { films: [...transfer.files].map((file) => ({ file, path: file.name })), skipped: 0 };
  const found: Found = { films: [], skipped: 0 };
  for (const entry of entries) {
    if (entry.isFile) found.films.push({ file: await fileOf(entry as FileSystemFileEntry), path: entry.name });
    else {
      const { films, skipped } = await pictures(await below(entry as FileSystemDirectoryEntry, `${entry.name}/`));
      found.films.push(...films);
      found.skipped += skipped;
    }
  }
  return found;
}

async function pictures(chosen: Chosen[]): Promise<Found> {
  const films = [];
  for (const each of chosen) if (await isFilm(each.file)) films.push(each);
  films.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { films, skipped: chosen.length - films.length };
}

/** By its ending; DICOM often has none, or the last number of a UID. */
async function isFilm(file: File): Promise<boolean> {
  if (FILM.test(file.name)) return true;
  const ending = /\.([^.]*)$/.exec(file.name)?.[1];
  if (file.name.startsWith(".") || (ending && !/^\d+$/.test(ending))) return false;
  if (file.name.toUpperCase() === "DICOMDIR") return false;
  return (await file.slice(128, 132).text()) === "DICM";
}

async function below(folder: FileSystemDirectoryEntry, prefix: string): Promise<Chosen[]> {
  const reader = folder.createReader();
  const found: Chosen[] = [];
  for (;;) {
    // A reader gives a hundred at a time, and none at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return found;
    for (const entry of entries) {
      const path = prefix + entry.name;
      if (entry.isFile) found.push({ file: await fileOf(entry as FileSystemFileEntry), path });
      else found.push(...(await below(entry as FileSystemDirectoryEntry, `${path}/`)));
    }
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
