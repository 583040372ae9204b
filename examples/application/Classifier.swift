import Foundation

/// Classifies RGB pixels with the sources of `edgeopt codegen --lang cpp`; the app's bridging header
/// includes "model.h", "picture.h" and "answer.h".
final class Classifier {
    private let network: OpaquePointer

    init(folder: String, threads: Int32 = 2) throws {
        var error = [CChar](repeating: 0, count: 256)
        guard let opened = model_open(folder, threads, &error, error.count) else {
            throw NSError(domain: String(cString: error), code: 1)
        }
        network = opened
    }

    deinit { model_close(network) }

    /// Returns class and probability, the likeliest first.
    func classify(pixels: [UInt8], height: Int64, width: Int64) throws -> [(Int64, Float)] {
        var place = placement()
        var input = [picture_cell](repeating: 0, count: Int(PICTURE_CELLS))
        guard picture_prepare(pixels, height, width, &input, &place) == 0 else {
            throw NSError(domain: "the picture is too large", code: 2)
        }
        let bytes = withUnsafePointer(to: &model_outputs) {
            $0.withMemoryRebound(to: model_tensor.self, capacity: 1) { $0.pointee.bytes }
        }
        var output = [UInt8](repeating: 0, count: bytes)
        let status = input.withUnsafeBytes { from in
            output.withUnsafeMutableBytes { to -> Int32 in
                var inputs: [UnsafeRawPointer?] = [from.baseAddress]
                var outputs: [UnsafeMutableRawPointer?] = [to.baseAddress]
                return model_run(network, &inputs, &outputs)
            }
        }
        guard status == 0 else { throw NSError(domain: String(cString: model_error(network)), code: 3) }
        var best = [answer_class](repeating: answer_class(), count: Int(ANSWER_TOP))
        let count = answer_classes(output, 0, &best)
        guard count >= 0 else { throw NSError(domain: "scores are NaN", code: 4) }
        return best.prefix(Int(count)).map { ($0.number, $0.probability) }
    }
}
