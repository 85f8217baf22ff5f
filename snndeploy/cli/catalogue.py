"""Every error code: title, meaning, what to do. `snndeploy explain CODE` prints it."""

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """What `explain` says of a code."""

    title: str
    meaning: str
    remedy: str


CATALOGUE: Mapping[str, Entry] = {
    "E1001": Entry(
        "File missing or unreadable",
        "There is no such model file, it is no regular file, or the system refused to read or "
        "write it.",
        "Check the path and its permissions.",
    ),
    "E1002": Entry(
        "Empty file",
        "The model file has no bytes.",
        "Save or copy the model again.",
    ),
    "E1003": Entry(
        "Damaged file",
        "The archive is cut short or its parts contradict each other. Nothing of it was used.",
        "Copy or save the file again.",
    ),
    "E1004": Entry(
        "Another kind of file",
        "The file's first bytes or its layout are not those of a model; the message says what "
        "it looks like.",
        "Give a .pt that snndeploy.save wrote, or a .nir file.",
    ),
    "E1005": Entry(
        "Archive claims more than it holds",
        "Compressed or overlapping entries claim more data than the file has, as zip bombs do. "
        "It was refused before anything was unpacked.",
        "Save the model again with snndeploy.save.",
    ),
    "E1006": Entry(
        "Pickled code",
        "A pickle can run any program when it is read, so it is never unpickled. Whole modules "
        "saved with torch.save are pickles.",
        "Call snndeploy.save(module, 'model.pt', example_input) where the module's code lives.",
    ),
    "E1007": Entry(
        "Weights without a network",
        "A state_dict holds tensors but not the network that uses them.",
        "Build the module, load the state_dict, then call snndeploy.save.",
    ),
    "E1008": Entry(
        "Compiled program",
        "A TorchScript archive holds code, which is not run here. An exported program is read as "
        "data, where the name of its file ends in .pt2.",
        "Rename the file to .pt2, call snndeploy.save on the module itself, or export NIR.",
    ),
    "E1009": Entry(
        "Not a snndeploy model",
        "A torch file without the mark of snndeploy.save, or of a format version that this "
        "release does not read.",
        "Save the model again with the installed snndeploy.",
    ),
    "E1010": Entry(
        "Malformed content",
        "A field of the model file is missing, unknown or of the wrong kind.",
        "Save the model again; do not edit the file by hand.",
    ),
    "E1011": Entry(
        "Tensor of a refused layout",
        "Sparse, strided, quantised or complex tensors are refused, because they can claim far "
        "more values than the file holds.",
        "Save contiguous float or integer tensors.",
    ),
    "E1012": Entry(
        "NaN or infinite parameters",
        "Weights, biases, thresholds or time constants are not finite.",
        "Find the step of training that diverged and save a finite network.",
    ),
    "E1020": Entry(
        "Broken graph",
        "An edge names a node that does not exist, a node name is not allowed, or inputs or "
        "outputs are missing.",
        "Export the graph again; the message names the edge or node.",
    ),
    "E1021": Entry(
        "Shapes do not fit",
        "An array or a node's parameters do not have the shape that this place of the graph "
        "takes; both shapes are in the message.",
        "Reshape the array (time first, samples second), or check the layer's parameters.",
    ),
    "E1022": Entry(
        "Channels do not fit",
        "A layer has other channels than its input.",
        "Check the layer's parameters.",
    ),
    "E1023": Entry(
        "Parameters of a user's neuron",
        "The parameters of a neuron with a program of its own are not those of the program, or "
        "have a kind, size or value that does not fit.",
        "Give one value, or one per neuron, for every parameter of the program.",
    ),
    "E1030": Entry(
        "Link inside a .nir file",
        "HDF5 links and external storage can read other files of this computer, or run in a "
        "circle. They are refused before they are followed.",
        "Write the graph again with nir.write.",
    ),
    "E1031": Entry(
        "Unreadable storage",
        "The .nir file uses a filter that is not built in.",
        "Write the file again with gzip or without compression.",
    ),
    "E1032": Entry(
        "Values of a wrong kind",
        "A .nir file holds types other than numbers and text.",
        "Write the file again with numbers and text only.",
    ),
    "E1033": Entry(
        "Arrays larger than the file",
        "The .nir file claims more data than it can hold, as shape bombs do. It was refused "
        "before memory was taken.",
        "Write the graph again with nir.write.",
    ),
    "E1034": Entry(
        "NIR cannot read it",
        "The nir package refused the file; its own reason is in the message.",
        "Export the graph again with a current nir.",
    ),
    "E1040": Entry(
        "Input array missing or misshapen",
        "The float model needs one array per input, shaped [T, B, …].",
        "Give every input its array; the message names the input.",
    ),
    "E1041": Entry(
        "No such node",
        "A node whose values were asked for is not in the graph.",
        "Choose a name that `snndeploy inspect` lists.",
    ),
    "E1045": Entry(
        "Bad example input",
        "The example has no samples or features, is not finite, or its range is empty.",
        "Give one finite example of the shape that the module takes.",
    ),
    "E1051": Entry(
        "Impossible neuron",
        "A threshold does not lie above the reset, or a time constant is not positive.",
        "Check the neuron's parameters in training.",
    ),
    "E1052": Entry(
        "Weights do not fit their input",
        "A layer's weights do not follow from the shape before it, or a kernel is larger than "
        "its input.",
        "Check the layer's parameters and the input's shape.",
    ),
    "E1053": Entry(
        "No scale keeps the sums in range",
        "Even the coarsest step of the weights lets the layer's proven sums leave the chip's "
        "words, so all weights would become 0.",
        "Use fewer input bits, smaller weights, or normalise the layer before it.",
    ),
    "E1061": Entry(
        "Array of another shape",
        "The array's shape beyond time and samples is not the input's; both are in the message.",
        "Reshape the array: time is the first axis, samples the second.",
    ),
    "E1062": Entry(
        "More frames than steps",
        "The recording has more frames than the network was compiled for.",
        "Compile with more --steps or cut the array.",
    ),
    "E1063": Entry(
        "Input is not spikes",
        "The network takes 0 or 1 per neuron and step, and the array holds other values.",
        "Compile with --encode graded or --encode rate.",
    ),
    "E1064": Entry(
        "Network text cannot be read",
        "The text of an integer network cannot be parsed; the line is named.",
        "Write it again with `snndeploy inspect --emit network`.",
    ),
    "E1065": Entry(
        "Network not well formed",
        "An integer network breaks one of its own rules: sizes, grids, registers or delays.",
        "Compile the model again; if snndeploy itself made it, report a bug.",
    ),
    "E1066": Entry(
        "Neuron program that makes no sense",
        "A statement uses a word before it is set, or a declaration names what does not exist.",
        "See CONTRIBUTING.md, Adding a neuron.",
    ),
    "E1101": Entry(
        "Chip file unreadable",
        "The chip's TOML file cannot be read or parsed.",
        "Correct the line that the message names.",
    ),
    "E1102": Entry(
        "Unknown key in a chip file",
        "Unknown keys are errors, because a misspelt limit would silently not be checked.",
        "Use the key that the message suggests.",
    ),
    "E1103": Entry(
        "Missing key in a chip file",
        "A key that every chip must state is missing.",
        "Add the key with value, unit, source and grade.",
    ),
    "E1104": Entry(
        "Wrong unit in a chip file",
        "The unit is not one that this quantity may have.",
        "Use a unit that the message lists.",
    ),
    "E1105": Entry(
        "Bad value in a chip file",
        "A value is of the wrong type, not finite, negative, or its low, nominal and high are "
        "out of order.",
        "Correct the value.",
    ),
    "E1106": Entry(
        "Unknown source in a chip file",
        "Every number names a source, which must be listed in [sources].",
        "Add the source, or use one that is listed.",
    ),
    "E1107": Entry(
        "Unknown grade in a chip file",
        "A grade says how good a number is: measured, published, fitted or assumed.",
        "Use one of the four.",
    ),
    "E1201": Entry(
        "Not an .npz file",
        "Arrays travel as .npz archives of .npy members; the message says what this file looks "
        "like.",
        "Save it with numpy.savez_compressed(path, x=array).",
    ),
    "E1202": Entry(
        "Damaged .npz file",
        "The archive is cut short, a checksum is wrong, or an array's header promises other "
        "bytes than are there.",
        "Save or copy the file again.",
    ),
    "E1203": Entry(
        "Objects in an .npz file",
        "Arrays of Python objects are pickles and can run code. They are never loaded.",
        "Save an array of numbers: dtype uint8, int or float.",
    ),
    "E1204": Entry(
        "File too large",
        "The arrays exceed the limit, or inflate by a ratio that only zip bombs have. Nothing "
        "was unpacked.",
        "Save smaller pieces and run them one after the other.",
    ),
    "E1205": Entry(
        "Wrong array names",
        "One input is called 'x', several are called 'x.<input>'; 'label' is optional; other "
        "names are refused.",
        "Rename the arrays as the message says.",
    ),
    "E1206": Entry(
        "Wrong array shape",
        "Arrays are [T, B, …]: time, samples, then the input's own shape. A static image has T "
        "= 1.",
        "Transpose or reshape before saving.",
    ),
    "E1207": Entry(
        "Not numbers",
        "Samples are booleans, integers or real floats.",
        "Save uint8 spikes, integers or floats.",
    ),
    "E1208": Entry(
        "NaN or infinite samples",
        "The data has values that no network can be judged on.",
        "Remove or repair them before saving.",
    ),
    "E1209": Entry(
        "No samples",
        "An axis of the array has length 0.",
        "Save at least one sample and one step.",
    ),
    "E1210": Entry(
        "Labels do not match",
        "Labels are one class number per sample, integers from 0.",
        "Save 'label' with shape [B] and an integer type.",
    ),
    "E1211": Entry(
        "More frames than steps",
        "A recording is longer than the model runs per sample.",
        "Give --steps, or cut the array.",
    ),
    "E1212": Entry(
        "File missing or unreadable",
        "There is no such file, it is no regular file, or the system refused to read it.",
        "Check the path and its permissions.",
    ),
    "E1213": Entry(
        "Out of memory",
        "The samples or traces do not fit this computer's memory.",
        "Give fewer samples at a time.",
    ),
    "E1214": Entry(
        "Labels missing",
        "Training and measuring a module need the right class of every sample.",
        "Save 'label' beside 'x': one integer per sample, from 0.",
    ),
    "E1215": Entry(
        "Label beyond the classes",
        "A label is not the index of a value of the model's first output.",
        "Number the classes from 0 to one less than the output has values.",
    ),
    "E1216": Entry(
        "No sample left to train on",
        "So many samples are held out to choose the best epoch that none is left.",
        "Give more samples, or --validation samples of their own.",
    ),
    "E1220": Entry(
        "Not a bundle",
        "The folder has no manifest.json.",
        "Make a bundle with `snndeploy compile`.",
    ),
    "E1221": Entry(
        "Damaged manifest",
        "The manifest cannot be read, or it does not have the digest that it states.",
        "Compile the model again.",
    ),
    "E1222": Entry(
        "Bundle of another format",
        "The bundle was written by a snndeploy whose format this release does not read.",
        "Compile the model again with the installed release.",
    ),
    "E1223": Entry(
        "Changed file in a bundle",
        "A file does not have the digest that the manifest states. The bundle is not used.",
        "Restore the file, or compile the model again.",
    ),
    "E1224": Entry(
        "Missing or foreign file in a bundle",
        "The folder lacks a file of the manifest, has one that is not in it, or has a link in "
        "place of a file.",
        "Restore the file, move the foreign one away, or compile again.",
    ),
    "E1226": Entry(
        "Contents do not belong together",
        "All digests match, but the parts do not make one network. This is a bug or a forged "
        "bundle.",
        "Compile the model again; if it persists, report it.",
    ),
    "E1227": Entry(
        "Chip file has changed",
        "The bundle was compiled for another version of the chip's data than is installed.",
        "Compile the model again.",
    ),
    "E1240": Entry(
        "Malformed grid",
        "A layer's metadata say on which grid its weights lie, but the record is damaged, or "
        "not one that snndeploy writes.",
        "Quantize the model again.",
    ),
    "E1241": Entry(
        "Weights beside their grid",
        "A layer says that its weights were quantized, but they do not lie on the grid: they "
        "were changed afterwards.",
        "Quantize the model again after every change of its weights.",
    ),
    "E1242": Entry(
        "A quantized layer does not fit its words",
        "The codes of a quantized layer are never rounded again, and with these steps, input "
        "bits or this target a sum, a threshold or a bias leaves the word that holds it.",
        "Quantize the model for the steps, input bits and target it is compiled for.",
    ),
    "E1243": Entry(
        "Grids without a common unit",
        "All weights into a population count in one unit, or one per output channel; the "
        "grids of its layers have none in common.",
        "Quantize all layers in one call, with --granularity tensor where neurons of a "
        "channel differ.",
    ),
    "E1300": Entry(
        "Study file unreadable",
        "The study's TOML file cannot be parsed.",
        "Correct the line that the message names.",
    ),
    "E1301": Entry(
        "Unknown key in a study",
        "Unknown keys are errors, because a misspelt factor would silently not be varied.",
        "Use the key that the message suggests.",
    ),
    "E1302": Entry(
        "Missing key in a study",
        "A key that every study must state is missing.",
        "Add the key.",
    ),
    "E1303": Entry(
        "Bad value in a study",
        "A value is of the wrong type, out of range or named twice.",
        "Use a value that the message names.",
    ),
    "E1304": Entry(
        "Factors that do not go together",
        "A criterion ranks channels and a ratio says how many of them go; one without the other "
        "prunes nothing.",
        "Give both, or neither.",
    ),
    "E1305": Entry(
        "Study too large",
        "The factors have more combinations than any study is meant to have.",
        "Name fewer levels, or several studies.",
    ),
    "E1310": Entry(
        "Damaged record of a study",
        "A file of the study's store does not agree with the digest it states. Nothing of it is "
        "used, since a wrong number would look like any other.",
        "Remove that file and give --resume; what it held is made anew.",
    ),
    "E1311": Entry(
        "Study of a newer version",
        "The store was written in a format that this release does not know.",
        "Use the newer snndeploy, or choose another -o.",
    ),
    "E1312": Entry(
        "Another study of that name",
        "The folder holds trials of a study with the same name but another space, model, data, "
        "chip or training. Their results would not be comparable.",
        "Give the study another name, or choose another -o.",
    ),
    "E1313": Entry(
        "Study of another version of snndeploy",
        "The trials in the folder were made by another release, which may compute other numbers.",
        "Choose another -o, or go on with the release that made them.",
    ),
    "E1314": Entry(
        "File changed since the study began",
        "A model or a data file is not the one that the study's first trials used.",
        "Put the file back, or start another study.",
    ),
    "E1315": Entry(
        "Study in use",
        "Another run is at work on the study and holds its lock; a run that was killed does not.",
        "Wait for it or end it; what it has finished is kept.",
    ),
    "E1400": Entry(
        "Integers beyond a source's range",
        "What the network was proven for is the range that each source declares; the array "
        "holds other integers.",
        "Encode the samples as the network declares its inputs.",
    ),
    "E1401": Entry(
        "No ONNX model, or damaged",
        "The file cannot be parsed as an ONNX model, is cut short, or has no graph.",
        "Export the network again.",
    ),
    "E1402": Entry(
        "ONNX model of another program",
        "Only .onnx files that snndeploy exported hold a network; float models are not imported "
        "from ONNX.",
        "Give the .pt or .nir that the ONNX model was made of.",
    ),
    "E1403": Entry(
        "Network too large",
        "The file, its nodes, neurons or spans exceed what is read; such numbers would fill "
        "memory before anything could be checked.",
        "Compile or export a smaller network.",
    ),
    "E1404": Entry(
        "Operators of another domain",
        "The ONNX file uses operators that are neither ONNX's own nor org.snndeploy's.",
        "Give the file as snndeploy exported it.",
    ),
    "E1405": Entry(
        "Values in other files",
        "An ONNX file may point to other files for its values; our own never do, and they are "
        "not followed.",
        "Export the network again, into one file.",
    ),
    "E1406": Entry(
        "Graphs nested too deeply",
        "Our ONNX files hold one graph inside of another at most.",
        "Give the file as snndeploy exported it.",
    ),
    "E1407": Entry(
        "Graph and network differ",
        "The network that the file's metadata carry was written again, and that is not the "
        "file's graph: it was edited, optimised, or written by another version.",
        "Export the network again.",
    ),
    "E1408": Entry(
        "Metadata hold no network",
        "The metadata of the ONNX file are incomplete, malformed or of another format version.",
        "Export the network again.",
    ),
    "E1409": Entry(
        "ONNX refuses the file",
        "The exported file does not pass onnx's own check; nothing was written.",
        "Report it, with the versions that `snndeploy doctor` prints.",
    ),
    "E1410": Entry(
        "Not a text",
        "A network's text is UTF-8; this file is not.",
        "Write one with `snndeploy inspect MODEL --emit network`.",
    ),
    "E1411": Entry(
        "Not a network of lava-dl",
        "The .net file lacks a field or has one of another kind or shape.",
        "Export it again with lava-dl's export_hdf5.",
    ),
    "E1412": Entry(
        "Network where a model is needed",
        "The file holds an integer network (a text or an .onnx of ours): it is compiled already, "
        "and no float model can be made of it.",
        "Give the file to run, estimate, inspect, verify or export, or the model to this command.",
    ),
    "E1413": Entry(
        "Numbers that make no network",
        "The file can be read, but its shapes, arrays or registers contradict each other so that "
        "not even the verifier can go through them.",
        "Compile or export the network again; do not edit the file by hand.",
    ),
    "E1420": Entry(
        "Nested graph that cannot be made flat",
        "A nested NIR graph has several inputs or outputs, passes its input on, or has an "
        "edge to a node that is not there.",
        "Export a flat graph, or nested graphs with one input and one output.",
    ),
    "E1421": Entry(
        "Step longer than a time constant",
        "With Euler's method a state would keep a negative share per step: the step is wrong, "
        "or the file's time constants are not in seconds.",
        "Give the model's step with --semantics …,dt=SECONDS; for files of Norse 1.1, dt squared.",
    ),
    "E1422": Entry(
        "Its writer means something else than NIR",
        "The file gives away who wrote it, and read as plain NIR its neurons would take next "
        "to none of their input. Exporters of sinabs and Norse write gains and time constants "
        "that way.",
        "Give --semantics with the preset that the message names.",
    ),
    "E1423": Entry(
        "An option that the exporter dropped",
        "The export of sinabs does not say norm_input, which decides how much of its input a "
        "neuron takes.",
        "Give --semantics sinabs,gain=nir for norm_input=True, or sinabs,gain=unit for False.",
    ),
    "E1425": Entry(
        "NIR content that does not hold together",
        "Read without nir's own checks, a node lacks a field, or its fields do not fit each other.",
        "Export the graph again.",
    ),
    "E1430": Entry(
        "Weights of another network",
        "Names of a state_dict and of the factory's network must be the same, with the same "
        "shapes; the message lists every one that is not, with the nearest name.",
        "Let the factory build the network that was trained, with the same options.",
    ),
    "E1431": Entry(
        "No weights by name",
        "The file holds no tensors by name: no state_dict, no checkpoint with one, no safetensors.",
        "Save module.state_dict(), or with safetensors.torch.save_file.",
    ),
    "E1432": Entry(
        "Exported program that cannot be read",
        "The archive is not laid out as torch.export.save writes it: its description, or the place "
        "of an array in its bytes, is wrong.",
        "Export it again: torch.export.save(torch.export.export(net, (x, *states)), 'net.pt2').",
    ),
    "E1441": Entry(
        "Damaged AEDAT4 file",
        "A length or an offset points outside the file, a packet does not inflate, or there "
        "are no events.",
        "Copy or record the file again.",
    ),
    "E1442": Entry(
        "Events that are no list of events",
        "Events are one-dimensional, with integer fields t (microseconds), x, y and p of the "
        "same length.",
        "Save a structured array with these fields, or an .npz with one array each.",
    ),
    "E1443": Entry(
        "Events outside the input",
        "A pixel, polarity or address is larger than the model's input, or the input is no "
        "sensor's.",
        "Crop or downsample the events to the input that the model was trained on.",
    ),
    "E1444": Entry(
        "NIR data that does not fit",
        "The file is no data of NIR nodes, is damaged, or holds other nodes, sizes or times "
        "than the model's inputs.",
        "Write it with nir.write_data, one node per input.",
    ),
    "E1445": Entry(
        "Images that do not fit",
        "Images lie in one folder per class and have the size and channels of the model's "
        "input; they are not resized or recoloured.",
        "Convert them before, and arrange them as CLASS/IMAGE.png.",
    ),
    "E1446": Entry(
        "Image cannot be read",
        "The file is no PNG or JPEG, is damaged, or is a link.",
        "Save the image again.",
    ),
    "E1460": Entry(
        "Nothing to compare",
        "The two sides have no spiking layer of the same name, and not the same layers in the "
        "same order either.",
        "Compare two forms of the same network.",
    ),
    "E1461": Entry(
        "Sides of different size",
        "A layer has another number of neurons on the other side, or the sides run different "
        "numbers of steps per sample.",
        "Compare two forms of the same network, with the same steps.",
    ),
    "E1462": Entry(
        "Graph of a later nir",
        "The file says that a later version of the nir package wrote it; what that version added "
        "could change what the graph means.",
        "Update nir, or export the graph with the version that is installed here.",
    ),
    "E1470": Entry(
        "File that cannot be read within bounds",
        "Files are read in a process of their own that may use only so much memory and time for a "
        "file of its size; this one took more, or made the process crash.",
        "Write the file again. If you trust it, report it.",
    ),
    "E1471": Entry(
        "File that does something",
        "While it was read, the file made a library try to write, to connect or to start a "
        "program. The attempt was stopped.",
        "Do not use the file.",
    ),
    "E2001": Entry(
        "Unsupported module",
        "A torch module or operation has no meaning on a chip, or none that is known here.",
        "Replace it as the message suggests, or keep it off the chip with --host-layers.",
    ),
    "E2002": Entry(
        "Unsupported neuron",
        "This neuron of the framework has no exact reading.",
        "Use a neuron that the message lists.",
    ),
    "E2003": Entry(
        "Reset that no chip can do exactly",
        "The neuron's reset drops or delays input in a way that no node can state.",
        "Use the reset that the message names.",
    ),
    "E2004": Entry(
        "Maximum of real values",
        "Max pooling is an OR of spikes; a maximum of real numbers is not something spiking "
        "populations compute.",
        "Save with snndeploy.save(..., rewrite='pool-after-neuron'), which pools after the neuron, "
        "then run `snndeploy finetune`; or use average pooling.",
    ),
    "E2005": Entry(
        "Batch normalisation out of place",
        "It folds only into a convolution or linear layer directly before it.",
        "Move it behind such a layer, or remove it.",
    ),
    "E2006": Entry(
        "Step modes contradict each other",
        "Parts of the module take one step, others all steps, or the input has the wrong "
        "layout for them.",
        "Set one step mode for the whole module.",
    ),
    "E2007": Entry(
        "Forward cannot be traced",
        "The forward function branches on values or loops over a number that is not known.",
        "Let forward depend on the shape of its input alone.",
    ),
    "E2008": Entry(
        "Unsupported option or shape",
        "A layer is supported, but not with this option or for this shape.",
        "Use the option that the message names.",
    ),
    "E2009": Entry(
        "Neuron option out of reach",
        "An option of the neuron changes its arithmetic in a way that is not supported.",
        "Give the neuron the options that the message names.",
    ),
    "E2010": Entry(
        "No spiking neuron",
        "The module has no neuron of a supported framework.",
        "Compile a network of SpikingJelly or snnTorch, or a .nir file.",
    ),
    "E2011": Entry(
        "Unsupported data flow in forward",
        "A layer takes something else than the input or what follows from it, or starts from a "
        "state that is neither zero nor given.",
        "Give an example of every input, and let the other arguments be the neurons' states.",
    ),
    "E2012": Entry(
        "Forward returns nothing to read",
        "The traced module returns only states or its input.",
        "Return the last neuron's spikes, or end in a layer without neuron.",
    ),
    "E2013": Entry(
        "Values of different shapes meet",
        "A sum or gate combines values that differ in shape or time, or a signal with an array "
        "of constants.",
        "Bring both to one shape with layers of their own; put constants into a bias.",
    ),
    "E2014": Entry(
        "Gate of values that are no spikes",
        "Products, maxima, clamps and comparisons are exact gates for spikes only, because "
        "those are 0 or 1.",
        "Do it behind the neurons, or add instead.",
    ),
    "E2015": Entry(
        "A number is added to a signal",
        "A constant is no spike and has no node of its own.",
        "Put it into the bias of the layer before the neuron.",
    ),
    "E2016": Entry(
        "Gate that fires at rest",
        "The gate would fire while all its inputs are silent; a chip computes with spikes that "
        "arrive.",
        "Use AND, OR, or (1 - a) * b.",
    ),
    "E2017": Entry(
        "Concatenation without a plain form",
        "A concatenation is split into its parts, which works along channels or features and in "
        "front of ungrouped weights, pools and neurons.",
        "Concatenate channels or features, and put a layer with weights behind it.",
    ),
    "E2018": Entry(
        "Part of a signal",
        "Only every n-th row and column of an image can be taken; other parts are not read.",
        "Use x[..., ::n, ::n], or a convolution that selects.",
    ),
    "E2019": Entry(
        "Padding without a plain form",
        "A border that is not of zeros, not symmetric, or not in front of a convolution.",
        "Give the padding to the convolution.",
    ),
    "E2020": Entry(
        "Unsupported node type",
        "The NIR graph has a node type that is not read or not written.",
        "Replace the node; the message names it and its type.",
    ),
    "E2021": Entry(
        "Loop without a spiking neuron",
        "A loop feeds back what its neurons sent in the step before; one without an IF, LIF or "
        "CubaLIF neuron has no step to wait for.",
        "Put a spiking neuron into the loop that is named, or remove one of its edges.",
    ),
    "E2023": Entry(
        "Cannot split for the host",
        "The leading layers cannot be cut off there: the graph is no chain, or too few layers "
        "are left.",
        "Choose a smaller --host-layers.",
    ),
    "E2024": Entry(
        "Steps of the loop differ",
        "A loop over time in forward is rolled up only if every step does the same and every "
        "neuron goes on from its own state.",
        "Let every step call the same modules in the same order, or loop outside forward.",
    ),
    "E2025": Entry(
        "Values of different steps are combined",
        "A step may take its input and the neurons' states, not values of other steps.",
        "Sum or stack the answers, and keep the rest within a step.",
    ),
    "E2026": Entry(
        "Time is not in front",
        "The loop takes steps from, or stacks them along, another dimension than the first.",
        "Use [T, B, …]: x[step] and torch.stack(spikes).",
    ),
    "E2027": Entry(
        "Neuron called twice in a step",
        "Two calls of one neuron module share one state, which no two populations do.",
        "Use one neuron module per layer.",
    ),
    "E2028": Entry(
        "Neuron starts anew at every call",
        "Forward takes one step, but resets its neurons or gives them a constant state, so "
        "nothing is carried from step to step.",
        "Put the loop over time into forward, or reset the neurons outside it.",
    ),
    "E2029": Entry(
        "Recurrent cell that is no loop of spikes",
        "A loop carries the spikes of one neuron layer back to its input; this cell feeds back "
        "other values, several signals, or through a map of its own.",
        "Let the module inside the container end in its neuron.",
    ),
    "E2030": Entry(
        "Loop with several entries",
        "A loop that is entered at several nodes leaves open which of its edges lags a step.",
        "Let the loop be entered at one neuron.",
    ),
    "E2101": Entry(
        "Too many ways into one place",
        "Every spike train of a sum and every delay brings its own copy of the weights, and there "
        "are too many.",
        "Put a spiking layer into the residual stream, or train with fewer different delays.",
    ),
    "E2102": Entry(
        "No lowering yet",
        "The node is understood, but has no integer form yet.",
        "Replace it as the message suggests.",
    ),
    "E2103": Entry(
        "Layers in a row grow too large",
        "Layers without a neuron between them become one linear map. Where one kernel cannot say "
        "it, as behind a padded border, it is listed connection by connection, and this list is "
        "too long.",
        "Put a neuron between them, or train the second convolution without padding.",
    ),
    "E2106": Entry(
        "Gate with too high a threshold",
        "A memoryless threshold forgets within a step only while what is left of the potential "
        "is small.",
        "Use a lower threshold, or a leaky neuron.",
    ),
    "E2107": Entry(
        "Nothing left for the chip",
        "All layers were given to the host.",
        "Lower --host-layers.",
    ),
    "E2110": Entry(
        "Chip without payloads",
        "Real inputs need spikes that carry numbers; this chip's spikes are binary.",
        "Use --encode rate, or --host-layers 1.",
    ),
    "E2122": Entry(
        "Several spikes per step without subtraction",
        "A neuron that sends several spikes per step must lose as many thresholds.",
        "Train with a subtractive reset, or with single spikes.",
    ),
    "E2123": Entry(
        "Clamped potential with a delayed reset",
        "No program clamps the potential from below and resets it a step later, or not at all.",
        "Train without a lower clamp, or with a reset in the step of the spike.",
    ),
    "E2125": Entry(
        "Start and reset differ",
        "The neuron starts at 0 but resets to another value; on the chip both are the same.",
        "Give --semantics …,v0=reset if the framework starts at v_reset.",
    ),
    "E2128": Entry(
        "Chip with another state format",
        "The chip file describes state words that the `lif` program does not have.",
        "Describe a chip with the format that the message names.",
    ),
    "E2131": Entry(
        "Loop too short",
        "On a chip every connection takes a step, so a loop through n populations feeds back after "
        "n steps at the earliest; the model's feeds back sooner.",
        "Train with a delay of a step in every connection of the loop, or let each population "
        "feed back on itself alone.",
    ),
    "E2132": Entry(
        "Branch must wait too long",
        "A branch has to be delayed by more steps than its synapse format can hold.",
        "Make the branches' depths more alike.",
    ),
    "E2133": Entry(
        "Samples would touch",
        "Spikes that are under way when a sample ends would reach the next one, no guard can "
        "silence their population, and its bias would make it fire even on a cleared chip.",
        "Train the loop without bias, then samples can run one at a time.",
    ),
    "E2134": Entry(
        "Charges before its sample arrives",
        "Neurons of this chip do not reset themselves, so a population must rest until its input "
        "arrives, and this one does not.",
        "Report it: compilation brings biases through synapses on such chips.",
    ),
    "E2135": Entry(
        "Biased feedback behind a sum",
        "What a recurrent connection with a bias sends before the first step is undefined where it "
        "does not lead straight into a neuron.",
        "Train the recurrent weights without a bias.",
    ),
    "E2136": Entry(
        "Delay between two steps",
        "A delay is negative, or no whole number of the model's steps; rounding it would change "
        "the model.",
        "Round the delays to steps before export, or give the step with --semantics …,dt=SECONDS.",
    ),
    "E2137": Entry(
        "Constant drive behind a synaptic current",
        "On a chip whose neurons the host resets a bias arrives as spikes; those enter the "
        "synaptic current, and a leak toward a value other than v_reset drives the potential.",
        "Compile for a chip whose neurons reset themselves (loihi2), or train with v_leak = "
        "v_reset.",
    ),
    "E2138": Entry(
        "Clamp above the reset value",
        "The potential may not fall below a value above the one it resets to, or below one that is "
        "not the same share of the threshold in all neurons of a layer.",
        "Give --semantics …,v_min=none if the network was trained without a clamp.",
    ),
    "E2202": Entry(
        "Weights off the grid",
        "Some weights would be stored as other numbers than the network has.",
        "Report a bug if snndeploy compiled the network; else put the weights on the grid.",
    ),
    "E2203": Entry(
        "Sums would wrap",
        "A projection's sums can leave the word in which Lava keeps them.",
        "Use smaller weights or fewer input bits.",
    ),
    "E2204": Entry(
        "Parameter differs between neurons",
        "A Lava process has one value of this parameter for all its neurons.",
        "Split the population by its values.",
    ),
    "E2205": Entry(
        "Register out of range",
        "A parameter does not fit the chip's register.",
        "Rescale the layer.",
    ),
    "E2206": Entry(
        "Payload too wide",
        "The source's integers take more bits than a spike carries.",
        "Lower the bits of the input.",
    ),
    "E2207": Entry(
        "Delay out of range",
        "A synapse cannot delay by so many steps.",
        "Relay the spikes through a population.",
    ),
    "E2301": Entry(
        "Loop in a network to train",
        "Fine-tuning runs layers one after the other over all steps; a feedback edge needs them "
        "step by step.",
        "Fine-tune the network in its own framework, then save it again.",
    ),
    "E2302": Entry(
        "Nothing to train",
        "Fine-tuning moves weights and biases, and the model has none.",
        "Give a model with linear or convolutional layers.",
    ),
    "E2303": Entry(
        "Neuron that is not trained",
        "Fine-tuning knows the frameworks' neurons; one of your own has no gradients here.",
        "Fine-tune the network in its own framework.",
    ),
    "E2310": Entry(
        "Odd codes that no stored weight holds",
        "Odd codes of 8 bits go up to 255, but the chip stores even weights up to 254, so "
        "each code is stored doubled and has 7 bits at most.",
        "Use 7 bits, or the chip's own grid with --grid chip.",
    ),
    "E2311": Entry(
        "Two quantized layers are one map",
        "No neuron stands between two layers, so they are composed into one map whose weights "
        "are products and lie on neither grid.",
        "Put a neuron between them, or merge them before quantization.",
    ),
    "E2312": Entry(
        "Scales in front of quantized weights",
        "Scales that differ between the inputs of a layer would take its weights off their grid.",
        "Fold the scales into the weights before quantization.",
    ),
    "E2313": Entry(
        "Codes that no stored weight holds",
        "A stored weight has 8 bits. Pools behind a layer add several codes up in one weight, "
        "and layers that meet in one population must count in the same unit.",
        "Use fewer bits for the layer that is named, or bits closer to those of the other layers.",
    ),
    "E2314": Entry(
        "One step for two units",
        "A layer's step fixes the unit of the population it feeds. It cannot feed two "
        "populations, nor neurons whose thresholds differ, unless the step is one per output "
        "channel.",
        "Give each population its own copy of the layer, or use --granularity channel.",
    ),
    "E2315": Entry(
        "A layer that is not quantized",
        "A quantized model is trained as its integer network, which takes all of its layers "
        "on a grid.",
        "Quantize all layers, or fine-tune the model before quantization.",
    ),
    "E2316": Entry(
        "Deployed, but not trained as integers",
        "The integer network has a part that training does not run: neurons of the user's "
        "own, delays, or pools that overlap.",
        "Fine-tune the network in its own framework before quantization.",
    ),
    "E2320": Entry(
        "Layer that cannot be pruned",
        "A ratio names a layer whose channels are those of an input or output, would leave the "
        "groups of a convolution unequal, or cannot be measured by the criterion.",
        "Name another layer, or another criterion; the message says why.",
    ),
    "E2321": Entry(
        "Nothing to prune",
        "No layer has channels that may be removed: inputs and outputs stay as they are, and the "
        "criterion has to apply.",
        "Prune a network with a hidden layer of neurons, or use --criterion l1.",
    ),
    "E2400": Entry(
        "Operation beyond 64 bits",
        "A program wraps, shifts or divides in a way that int64 operators of ONNX cannot say.",
        "Use at most 62 bits, and shifts that are not negative.",
    ),
    "E2401": Entry(
        "Sum beyond 32 bits",
        "One neuron's weights add up to more than an int32 sum of ONNX can hold.",
        "Split the layer.",
    ),
    "E2402": Entry(
        "Guard inside of windows",
        "A guard source acts while samples are computed; compiled networks have none such.",
        "Compile the model again.",
    ),
    "E2403": Entry(
        "Too large for ONNX",
        "An ONNX file is one protobuf message of at most 2 GiB.",
        "Export a smaller network.",
    ),
    "E2410": Entry(
        "Not a sequence",
        "A .net file of lava-dl holds one chain of layers: no branches, sums, delays or loops.",
        "Export onnx, which holds any network.",
    ),
    "E2411": Entry(
        "Neuron that is not written as .net",
        "Current-based integrate-and-fire neurons that reset to 0, with one decay and threshold "
        "per layer, are written.",
        "Export onnx, or nir if the neuron has a form there.",
    ),
    "E2412": Entry(
        "Layer that netx does not have",
        "The connection cannot be written as a dense layer or a convolution of netx.",
        "Export onnx or nir.",
    ),
    "E2413": Entry(
        "Bias that netx cannot hold",
        "Biases are counted by netx in units of 64 (13 bits); these are finer or larger.",
        "Train without bias, or export onnx or nir.",
    ),
    "E2414": Entry(
        "Weights that netx would change",
        "On their way netx and Lava would turn these weights into others without a word; which "
        "rule is broken is in the message.",
        "Export onnx or nir, or train weights of both signs.",
    ),
    "E2415": Entry(
        "Integer model off the chip's grid",
        "A model with integer semantics is taken over as it is, and a weight, threshold, bias, "
        "decay or parameter is no value of the chip's registers, or a sum may wrap.",
        "Compile the float model, or run the network's own file.",
    ),
    "E2416": Entry(
        "Layer of a .net file that is not read",
        "Dense layers and convolutions are read, all with CUBA neurons or all with SDNN neurons "
        "(sigma-delta with relu); the file has something else.",
        "Remove the layer, or run the file with lava-dl.",
    ),
    "E2417": Entry(
        "Neuron without a form in NIR",
        "NIR has integrate-and-fire neurons; this program, or its registers, are none of them.",
        "Export onnx, which holds any neuron.",
    ),
    "E2418": Entry(
        "Connection without a form in NIR",
        "The connection is no plain NIR node: it lags, floors its sums, or reorders axes.",
        "Export onnx, which holds any network.",
    ),
    "E2419": Entry(
        "Bias or output without a form in NIR",
        "NIR's nodes hold a bias per channel, and outputs read what a node sends.",
        "Export onnx, which holds any network.",
    ),
    "E2420": Entry(
        "Quantizer that no synapse has",
        "A quantized layer rounds its input, output or bias too, or its integers have a zero "
        "point; synapses hold integers times one scale.",
        "Quantize weights alone, symmetrically.",
    ),
    "E2421": Entry(
        "Exported program that is no step of a spiking network",
        "An exported program is one step, forward(x, *states), of layers and leaky "
        "integrate-and-fire neurons. This one applies another operator, or its arithmetic is none "
        "of the neurons that were tried on it.",
        "Export one step with its states as arguments, or save the module with snndeploy.save.",
    ),
    "E3001": Entry(
        "Does not fit",
        "The network breaks at least one limit of the chip; the table lists every one with "
        "what was had and what is allowed. Nothing was written.",
        "Follow the hints of the table: split, prune or shrink the layer, or choose a larger chip.",
    ),
    "E3002": Entry(
        "Delays do not match the waves",
        "The simulator runs networks whose branches arrive together, as compilation makes them.",
        "Use the reference executor for hand-made networks.",
    ),
    "E3003": Entry(
        "Wrong input shape for the simulator",
        "Inputs are integers [P, B, …] with P equal to the network's steps.",
        "Encode the samples for this network.",
    ),
    "E3004": Entry(
        "Spikes cross samples",
        "A connection with a lag would carry spikes of one sample into the next.",
        "Compile with --one-at-a-time, or use the reference executor.",
    ),
    "E3005": Entry(
        "Energy without activity",
        "Energy depends on what happened; without counts of a run there is none.",
        "Run the simulator on data first.",
    ),
    "E3006": Entry(
        "No latencies",
        "The chip file states no latencies of cores and barrier, so no time can be given.",
        "Add them to the chip file with their source.",
    ),
    "E3007": Entry(
        "No network data",
        "Levels queue and flit follow every message through the network: they need its buffers, "
        "lanes and the time of a hop, which the chip file does not state.",
        "Use --timing bound, or add them to the chip file with their source.",
    ),
    "E3020": Entry(
        "Traced neuron does not exist",
        "The option --trace-neurons names a population that the integer network does not have, or "
        "a number beyond its neurons.",
        "Take names and sizes from `snndeploy inspect MODEL --emit network`.",
    ),
    "E3021": Entry(
        "Trace too large",
        "A trace is held in memory until it is written; this one would be beyond the limit, which "
        "was computed before anything ran.",
        "Give fewer samples, or fewer neurons to --trace-neurons.",
    ),
    "E3040": Entry(
        "Chip is priced only",
        "Nothing is compiled for this chip, because its numerics, limits or topology are not "
        "modelled; what is known of it are prices, by which the counts of a run are priced.",
        "Compile for a modelled chip, and price that run with estimate --target loihi2,CHIP.",
    ),
    "E3041": Entry(
        "Unknown price table",
        "No chip that is estimated has a price table of that name.",
        "Choose one that `snndeploy targets CHIP` lists.",
    ),
    "E3042": Entry(
        "File of a chip that is priced only",
        "The chip file states prices and no numerics, so that nothing can be compiled for it.",
        "Read it with load_priced_chip and offer it as a PricedTarget.",
    ),
    "E3043": Entry(
        "Two price tables for one chip",
        "A chip is priced with one table at a time.",
        "Give one of its tables; run estimate again for the other.",
    ),
    "E3044": Entry(
        "Chip is modelled",
        "Counts of another chip's run are priced only on chips whose arithmetic is not modelled; "
        "this one counts its own.",
        "Compile for it and estimate there.",
    ),
    "E4001": Entry(
        "No Python 3.10 for Lava",
        "Lava runs in an interpreter of its own, CPython 3.10, and none that can serve was found.",
        "Install CPython 3.10, or set SNNDEPLOY_LAVA_PYTHON to one.",
    ),
    "E4002": Entry(
        "Lava's environment could not be made",
        "Creating the environment or installing lava-nc into it failed; the last line of the "
        "installer is in the message.",
        "Check the network, then run `python -m hwtargets.loihi.lava_env`.",
    ),
    "E4003": Entry(
        "Lava failed",
        "The Lava process ended with an error or an unusable answer.",
        "Read the reason in the message; run `snndeploy doctor`.",
    ),
    "E4004": Entry(
        "Lava took too long",
        "The run did not finish in time and was stopped with all its processes.",
        "Use fewer samples, or allow more seconds as the message says.",
    ),
    "E4005": Entry(
        "Bad time limit for Lava",
        "The variable that limits Lava's run is not a positive number of seconds.",
        "Set it to a number such as 600, or unset it.",
    ),
    "E4020": Entry(
        "Name claimed twice",
        "Two installed packages offer a target or backend of the same name; both are named.",
        "Uninstall one of them.",
    ),
    "E4021": Entry(
        "Plug-in cannot be loaded",
        "The package that offers a target or backend fails to import.",
        "Reinstall that package.",
    ),
    "E4022": Entry(
        "Backend cannot run here",
        "A tool that the backend needs is missing, and the run asked for it (or CI is set, "
        "where all are required).",
        "Install what the message names, or choose other backends.",
    ),
    "E4023": Entry(
        "Backend answered the wrong shape",
        "The traces of a backend are not those of the populations that were asked for.",
        "Report it as a bug of the backend.",
    ),
    "E4030": Entry(
        "Ray is not installed",
        "The engine for more than one machine is an extra.",
        "Install snndeploy[ray], or use --engine process.",
    ),
    "E4031": Entry(
        "Optuna is not installed",
        "The study has a table [search], and searching is an extra.",
        "Install snndeploy[search], or remove the table.",
    ),
    "E4032": Entry(
        "No worker process",
        "The system refused to start a process that would run trials.",
        "Free memory, use fewer --workers, or --engine serial.",
    ),
    "E4033": Entry(
        "Ray does not start",
        "Ray could not be started here, or the cluster at the address was not reached.",
        "Read ray.log in the study's folder; check --ray-address, memory and /dev/shm.",
    ),
    "E4034": Entry(
        "Storage of a search cannot be used",
        "Optuna could not open or read its storage. The address is shown without user and "
        "password.",
        "Check the URL, the server and its driver, or leave --storage out.",
    ),
    "E4040": Entry(
        "ONNX Runtime failed",
        "The runtime refused the model or stopped while running it; its first line is in the "
        "message.",
        "Update onnxruntime; report it if it stays.",
    ),
    "E4041": Entry(
        "ONNX Runtime is not installed",
        "The backend onnx and the check after an export need it.",
        "Run `pip install onnxruntime`.",
    ),
    "E4042": Entry(
        "ONNX Runtime differs",
        "The exported file, run by ONNX Runtime, does not answer what the reference answers. "
        "Nothing was written.",
        "Update onnxruntime; report it if it stays.",
    ),
    "E5001": Entry(
        "Unknown name",
        "There is no target, backend or code of that name; the nearest one is suggested.",
        "Use the suggested name; `snndeploy targets` and `snndeploy doctor` list them.",
    ),
    "E5003": Entry(
        "Output exists",
        "Nothing is replaced without being asked, and files that are no part of a bundle are "
        "never deleted.",
        "Give --force to replace a bundle, or choose another -o.",
    ),
    "E5004": Entry(
        "Output cannot be written",
        "The place is a file, a link, not writable, in no folder, or the disk is full. What "
        "was there is untouched.",
        "Choose another -o, or make room.",
    ),
    "E5006": Entry(
        "Estimate without data",
        "Spikes decide energy and time; no default rate is assumed.",
        "Give samples with --data.",
    ),
    "E5010": Entry(
        "Unknown semantics",
        "The preset, key or value of --semantics is not known; the nearest one is suggested.",
        "Use the suggested name.",
    ),
    "E5011": Entry(
        "Encoding does not suit the input",
        "The chosen --encode cannot carry the input's values.",
        "Use the encoding that the message names.",
    ),
    "E5012": Entry(
        "Input bits out of range",
        "The chip's spikes carry fewer or more bits than were asked for.",
        "Use 8 bits.",
    ),
    "E5013": Entry(
        "Steps unknown",
        "Neither the model nor the options say how many time steps a sample takes.",
        "Give --steps with the number that the model was trained with.",
    ),
    "E5014": Entry(
        "Weight bits out of range",
        "The chip stores other numbers of bits per weight.",
        "Use a number in the range that the message gives.",
    ),
    "E5015": Entry(
        "Host layers out of range",
        "The number of leading layers for the host is negative.",
        "Use 0 or more.",
    ),
    "E5016": Entry(
        "Input range unknown",
        "A .nir file does not say in which range its real inputs lie, and integers need a scale.",
        "Give --input-range LOW HIGH, or --encode spikes if the model takes spikes.",
    ),
    "E5020": Entry(
        "Command line not understood",
        "An option, argument or command is unknown, missing or has a value that is not allowed.",
        "See the command's --help.",
    ),
    "E5021": Entry(
        "Option does not suit a bundle",
        "A bundle is compiled already: its chip, steps and numbers are fixed, and it holds no "
        "float model.",
        "Give the model instead of the bundle, or drop the option.",
    ),
    "E5022": Entry(
        "Steps of a static image unknown",
        "One frame per sample is shown at every step, and nothing says for how many.",
        "Give --steps.",
    ),
    "E5023": Entry(
        "Option for .nir files only",
        "A .pt that snndeploy.save wrote carries its semantics and input range.",
        "Drop the option.",
    ),
    "E5040": Entry(
        "Argument of save that does not exist",
        "The function `save` was given something that is no torch module, or an option value that "
        "it does not know; what is allowed is named.",
        "Use one of the values that the message names.",
    ),
    "E5050": Entry(
        "Training option out of range",
        "Epochs, learning rate, batch, seed or hold-out has a value that cannot be used.",
        "Use a value in the range that the message names.",
    ),
    "E5051": Entry(
        "Training diverged",
        "The loss or a weight is not finite any more. Nothing was written.",
        "Use a smaller --lr; check that inputs and weights are of ordinary size.",
    ),
    "E5052": Entry(
        "Module cannot be measured",
        "With data, save runs the module itself; its forward fails on the samples, needs states "
        "that it does not make, or gives no answer per sample.",
        "Leave out data; the model is then saved without the module's accuracy.",
    ),
    "E5060": Entry(
        "Option of the simulator",
        "Threads and traces are offered by the simulator; other backends run as they do.",
        "Use --backend sim, or drop the option.",
    ),
    "E5061": Entry(
        "Neurons without a trace",
        "The option --trace-neurons chooses whose states go into a trace, and no trace is written.",
        "Add --trace FILE.npz.",
    ),
    "E5062": Entry(
        "Neurons not understood",
        "The option takes a population and numbers from 0 on, single or as ranges.",
        "Write POP:I,J-K, as in layer1:0,5,10-20.",
    ),
    "E5063": Entry(
        "One trace for several chips",
        "A trace holds the loads of one chip, and several targets were given.",
        "Give one --target, and estimate the others by themselves.",
    ),
    "E5064": Entry(
        "Nothing to compare",
        "Only the reference would run, and nothing is stored to compare it with.",
        "Name an executor beside it in --backends: sim, lava or onnx.",
    ),
    "E5065": Entry(
        "Rate not understood",
        "A rate is a number above 0 of samples per second, minute or hour.",
        "Write it like 10/s, 10Hz, 10/min or 6/h.",
    ),
    "E5066": Entry(
        "Power not understood",
        "A power is a number, 0 or more, with its unit.",
        "Write it like 5mW, 0.25W or 300uW.",
    ),
    "E5067": Entry(
        "Battery not understood",
        "A battery is an energy, or a charge and the voltage it is given at; a charge alone is no "
        "energy.",
        "Write it like 2.2Wh, 500mWh, 8kJ or 1000mAh@3.7V.",
    ),
    "E5068": Entry(
        "Rate beyond the throughput",
        "The chip takes longer per sample than there is time between samples; the message has "
        "both numbers.",
        "Lower --rate, compile with fewer --steps, or choose another chip.",
    ),
    "E5069": Entry(
        "Average power without a rate",
        "Power of sensor and host and the life of a battery depend on how often a sample comes; no "
        "rate is assumed.",
        "Give --rate, for example --rate 10/s.",
    ),
    "E5070": Entry(
        "The same file twice",
        "Two of the reports that were asked for would be written to the same file.",
        "Give each its own name.",
    ),
    "E5080": Entry(
        "Bits out of range",
        "Weights have 2 to 8 bits on the chip; 32 leaves the first or last layer as it is.",
        "Choose bits in that range.",
    ),
    "E5081": Entry(
        "No such layer",
        "Bits are given for a layer that the model does not have, or that has no weights.",
        "See the names with snndeploy inspect MODEL.",
    ),
    "E5082": Entry(
        "Unknown rule, grid or granularity",
        "An option of the quantization has a value that does not exist.",
        "See snndeploy quantize --help.",
    ),
    "E5090": Entry(
        "How much to prune",
        "Pruning takes a criterion that exists, samples to score on and a seed of 0 or more, and "
        "either ratios, shares from 0 up to 1 of the channels to remove, or a budget.",
        "Use --ratio 0.5, --ratio conv1=0.3,conv2=0.5 or --budget weights=0.5.",
    ),
    "E5091": Entry(
        "Ratio of a layer that is not there",
        "A ratio is given by the name of a layer, and the model has none of this name.",
        "Use a name that `snndeploy inspect MODEL` prints.",
    ),
    "E5092": Entry(
        "Two ratios for the same channels",
        "What two layers make is added up, as around a shortcut, so their channels stand and fall "
        "together and have one ratio.",
        "Give both the same ratio, or name one of them.",
    ),
    "E5093": Entry(
        "Budget out of reach",
        "Even the smallest network that pruning can make costs more than the budget allows, or "
        "the budget is a share of a cost that is not known because the network does not fit.",
        "Allow more, give an absolute number, or use a smaller network.",
    ),
    "E5094": Entry(
        "Budget that cannot be read",
        "A budget is one cost (weights, synaptic_ops, cores, energy_j) and a number above 0.",
        "Use for example --budget synaptic_ops=0.5.",
    ),
    "E5095": Entry(
        "Samples needed",
        "The criterion scores what channels do on samples, or the budget counts events.",
        "Give --data, or use --criterion l1 or random and a budget of weights or cores.",
    ),
    "E5100": Entry(
        "Study exists",
        "The folder holds trials of this study, and nobody said to go on with them.",
        "Give --resume, or choose another -o.",
    ),
    "E5102": Entry(
        "No study to resume",
        "The folder holds no study.",
        "Start it without --resume, or name its folder with -o.",
    ),
    "E5103": Entry(
        "Folder of a study cannot be used",
        "It holds something else, is no folder, or cannot be written.",
        "Choose another -o.",
    ),
    "E5104": Entry(
        "Not a duration",
        "A time is a number with a unit.",
        "Write 90s, 20min, 2h or 1d.",
    ),
    "E5105": Entry(
        "Options of a study contradict each other",
        "An engine, a number of workers, an address or a storage does not go with the rest.",
        "Follow the message.",
    ),
    "E5106": Entry(
        "Study on a chip without prices",
        "A trial reports the energy of its events, and none of this chip's has a public price.",
        "Choose a chip with prices; see `snndeploy targets NAME`.",
    ),
    "E5120": Entry(
        "Export needs integers",
        "The formats onnx and netx hold the integer network, and a float model has none.",
        "Compile the model, then export what `compile` returned; the command line does both.",
    ),
    "E5121": Entry(
        "Unknown format or form, or an option of another format",
        "Files are nir, onnx or netx; forms and inlining belong to ONNX files.",
        "Drop the option, or give --format onnx.",
    ),
    "E5130": Entry(
        "No such factory",
        "A factory is named as package.module:function; the module cannot be imported from the "
        "current folder or an installed package, or has no such function.",
        "Check the name; the message lists what the module has.",
    ),
    "E5131": Entry(
        "Factory failed",
        "The factory raised an error, or returned something else than a torch module or a "
        "module and an example input.",
        "Let it build the network without arguments and return it.",
    ),
    "E5132": Entry(
        "Network of weights not fully said",
        "Weights need --factory; without an example input of its own they need --input-shape, what "
        "the inputs carry and, if forward takes all steps, --steps. A .pt2 does not say what its "
        "input carries either. None of it is for other files.",
        "Give the option that the message names, or let the factory return (network, example).",
    ),
    "E5133": Entry(
        "Events without a step",
        "Events have times; --dt says how many seconds one model step lasts.",
        "Give --dt SECONDS.",
    ),
    "E5134": Entry(
        "Package for this data is missing",
        "Compressed AEDAT4 packets and images are read by packages of their own.",
        "Install snndeploy[events] or snndeploy[images].",
    ),
    "E5135": Entry(
        "Data that has its steps already",
        "The option --dt is for events; these are arrays, images, or values on a grid of time.",
        "Drop --dt.",
    ),
}
