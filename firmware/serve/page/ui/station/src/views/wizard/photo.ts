// A photo of the phone made small before it is sent: a pole has no fast link, and drawing it anew
// leaves out where it was taken. Where the browser cannot draw it, it goes as it is; the box
// drops the place then.
const longest = 1600;

export async function shrink(file: File): Promise<Blob> {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d")!.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    const small = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", 0.82));
    return small ?? file;
  } catch {
    return file;
  }
}
